# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The embedded model's vocabulary: pieces of answers that may span words, and the words of questions."""

import json
import re
from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL_TOKENS = ["<pad>", "<s>", "</s>", "<ecg>", "<image>"]
# What stays a token of its own: leads, digits (numbers are spelled, not memorised), verdicts (their odds are read), and the end
# of a question. All between them may grow together, so that an answer has half as many tokens.
PIECES = r" V[1-6]\b| aV[RLF]\b| I{1,3}\b| likely\b| unlikely\b|\d|\n"
# A word of a question, and what the chat template `WORDED` puts before it.
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
MARK = "_"


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE on the answers, across words but not across `PIECES`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=20,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _for_transformers(tokenizer)


def with_words(tokenizer: PreTrainedTokenizerFast, words: Iterable[str]) -> PreTrainedTokenizerFast:
    """
    A tokenizer of `train_tokenizer` with `_word` for each of `words` at the end of its vocabulary. Answers, which have no `_`, become the
    same tokens as before.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for word in words:
        vocabulary.setdefault(MARK + word, len(vocabulary))
    state["model"]["ignore_merges"] = True  # a piece that is in the vocabulary is one token
    state["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = f"{MARK}{WORD.pattern}|{PIECES}"
    return _for_transformers(Tokenizer.from_str(json.dumps(state)))


def common_words(tokenizer: PreTrainedTokenizerBase, count: int) -> list[str]:
    """The first `count` words in small letters that are tokens of a byte-level BPE vocabulary: the oldest are the most frequent."""
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    whole = (token[1:] for token, _ in tokens if token.startswith("Ġ"))  # a space, byte-level
    return [word for word in whole if WORD.fullmatch(word)][:count]


def _for_transformers(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
        model_max_length=1024,
        additional_special_tokens=["<ecg>", "<image>"],
    )


__all__ = ["MARK", "PIECES", "SPECIAL_TOKENS", "WORD", "common_words", "train_tokenizer", "with_words"]
