# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether a model answers questions about an ECG, and declines inputs that are not ECGs."""

import itertools
import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from modeling_gem import GemPipeline, GemProcessor
from processing.grounding.check import check_grounding
from processing.grounding.verdicts import CONTRADICTED, SUPPORTED
from recipes.sources.ptbxl import PtbxlItem
from recipes.teachers.diagnoses import diagnoses_in
from recipes.teachers.off_topic import OFF_TOPIC
from recipes.teachers.questions import ALL_KINDS, BEYOND, BEYOND_BEGINS, ELSE, Asked, Known, ask
from recipes.teachers.wordings import SENTENCES

from .corpus import RATE
from .junk import OF_PICTURES, Junk, declines, junk
from .states import conversation_tokens

SEED = 1  # other examples than those that were learned from
# Kinds whose right answer is known from the labels, not from measurements.
BY_LABEL = ("infarction", "block", "conduction disturbance", "hypertrophy", "ST-T change", "normal")
BY_FIRST_WORD = (*BY_LABEL, "named diagnosis", "noise", "noise by lead")
LONG_WORDS, ALIKE = 30, 0.8  # words of a long answer; share of them that two answers have in common
# Kind -> wordings by a writer who had not seen those that are learned from, and wrote them before any model was asked.
UNSEEN = Path(__file__).with_name("unseen_wordings.json")


def question_scores(
    interpret: GemPipeline, items: Sequence[PtbxlItem], known: Sequence[Known], batch_size: int
) -> dict[str, dict[str, float | int]]:
    """Per kind of question the share of right answers, of `count` where right can be told."""
    scores = {}
    for kind in ALL_KINDS:
        rng = np.random.default_rng(SEED)
        asked = [ask(kind, one, rng) for one in known]
        answers = answers_to(interpret, items, [question for question, _ in asked], batch_size, kind)
        scores[kind] = _share_right(kind, answers, [right for _, right in asked], known)
    return scores


def unseen_scores(
    interpret: GemPipeline, items: Sequence[PtbxlItem], known: Sequence[Known], batch_size: int
) -> dict[str, dict[str, float | int]]:
    """
    The same with wordings that nobody learned from (`UNSEEN`), and the share `understood`: the answer says the same as the one to the
    standard wording about the same ECG, or declines what it should.
    """
    scores = {}
    for kind, wordings in json.loads(UNSEEN.read_text()).items():
        asked = _asked(kind, known, wordings)
        answers = answers_to(interpret, items, [question for question, _ in asked], batch_size, f"unseen: {kind}")
        if kind in (BEYOND, ELSE):
            same = [declines_question(answer) for answer in answers]
        else:
            usual = [question for question, _ in _asked(kind, known, SENTENCES[kind][:1])]
            expected = answers_to(interpret, items, usual, batch_size, f"standard: {kind}")
            same = list(map(says_the_same, answers, expected))
        scores[kind] = {
            **_share_right(kind, answers, [right for _, right in asked], known),
            "understood": float(np.mean(same)),
        }
    return scores


def _asked(kind: str, known: Sequence[Known], wordings: Sequence[str]) -> list[Asked]:
    """A question about each ECG, the wordings in turn; whatever they are, about the same lead, wall or diagnosis."""
    rng = np.random.default_rng(SEED)
    return [ask(kind, one, rng, worded) for one, worded in zip(known, itertools.cycle(wordings), strict=False)]


def declines_question(answer: str) -> bool:
    """Whether an answer says that no ECG tells it, or that the question is about something else."""
    return answer.startswith(BEYOND_BEGINS) or answer == OFF_TOPIC


def says_the_same(one: str, other: str) -> bool:
    """Whether two answers are the same apart from their numbers; long ones may differ in a few words."""
    one, other = (re.sub(r"-?\d+(\.\d+)?", "0", text) for text in (one, other))
    if min(len(one.split()), len(other.split())) < LONG_WORDS:
        return one == other
    return SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio() >= ALIKE


def answers_to(
    interpret: GemPipeline, items: Sequence[PtbxlItem], questions: Sequence[str], batch_size: int, name: str
) -> list[str]:
    """What the model answers to a question about each ECG, the most likely words."""
    chats = [
        interpret.processor.build_conversation(item.record, question=question)
        for item, question in zip(items, questions, strict=True)
    ]
    outputs = interpret(iter(chats), batch_size=batch_size, grounding="off", do_sample=False)
    return [output["generated_text"] for output in tqdm(outputs, total=len(chats), desc=name)]


def _share_right(
    kind: str, answers: Sequence[str], references: Sequence[str], known: Sequence[Known]
) -> dict[str, float | int]:
    told = [is_right(kind, *row) for row in zip(answers, references, known, strict=True)]
    right = [value for value in told if value is not None]
    return {"right": float(np.mean(right)) if right else float("nan"), "count": len(right)}


def is_right(kind: str, answer: str, reference: str, known: Known) -> bool | None:
    """
    Whether an answer is right: a yes or no as in the reference, by the labels; the reference's words where nothing is
    measured, and where the question is declined; else that a claim is supported and none contradicted. `None` where measurements decide and say nothing.
    """
    if kind in BY_FIRST_WORD:
        return _first_word(answer) == _first_word(reference)
    if kind == "impression":
        return diagnoses_in(answer) == diagnoses_in(reference)
    if kind in (BEYOND, ELSE):
        return declines_question(answer)
    if kind == "quality" or "not measurable" in reference or "cannot be told" in reference or answer == reference:
        return answer == reference
    if not check_grounding(reference, known.features).count(SUPPORTED):
        return None
    report = check_grounding(answer, known.features)
    return report.count(SUPPORTED) > 0 and report.count(CONTRADICTED) == 0


def _first_word(answer: str) -> str:
    return answer.partition(" ")[0].rstrip(".,")


def junk_scores(
    interpret: GemPipeline, items: Sequence[PtbxlItem], answers: Sequence[str], count: int, batch_size: int
) -> dict[str, float]:
    """
    Which share of each kind of junk the model declines by itself, all gates before it left out, and which share of ECGs.

    Args:
        interpret: pipeline with the model.
        items: ECGs, of which single seconds are cut.
        answers: to whole ECGs.
        count: number of examples.
        batch_size: examples per forward pass.
    """
    declined: dict[str, list[bool]] = {}
    examples = list(junk(count, SEED, lambda number: items[number % len(items)].record.resample(RATE).signal))
    for kind in dict.fromkeys(one.kind for one in examples):
        some = [one for one in examples if one.kind == kind]
        for first in range(0, len(some), batch_size):
            texts = ungated_answers(interpret, some[first : first + batch_size])
            declined.setdefault(kind, []).extend(map(declines, texts))
    shares = {kind: float(np.mean(values)) for kind, values in declined.items()}
    everything = [value for values in declined.values() for value in values]
    return {
        **shares,
        "all junk": float(np.mean(everything)) if everything else float("nan"),
        "ECGs": float(np.mean([declines(text) for text in answers])) if len(answers) else float("nan"),
    }


def ungated_answers(interpret: GemPipeline, examples: Sequence[Junk]) -> list[str]:
    """What the model writes about junk of one kind, as a signal or a picture alone, that no reader or check has seen."""
    name = "image" if examples[0].kind in OF_PICTURES else "ecg"
    inputs = bare_inputs(interpret.processor, [interpret.processor.default_question] * len(examples), name)
    if name == "ecg":
        inputs["ecg_values"] = torch.from_numpy(np.stack([one.signal for one in examples]).astype(np.float32))
    else:
        pictures = [Image.fromarray(one.picture) for one in examples]
        inputs["pixel_values"] = interpret.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        written = interpret.model.generate(**inputs, do_sample=False)
    return interpret.processor.batch_decode(written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def bare_inputs(processor: GemProcessor, questions: Sequence[str], shown: str) -> dict[str, torch.Tensor]:
    """Prompts with placeholders for an `ecg` or `image`, as tokens of one length."""
    rows = [
        conversation_tokens(processor, [{"role": "user", "content": question}], [shown], add_generation_prompt=True)[0]
        for question in questions
    ]
    ids = torch.stack(rows)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


__all__ = ["bare_inputs", "is_right", "junk_scores", "question_scores", "ungated_answers", "unseen_scores"]
