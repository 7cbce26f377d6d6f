# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether a model answers questions about an ECG, and declines inputs that are not ECGs."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from modeling_gem import GemPipeline, GemProcessor
from processing.grounding.check import check_grounding
from processing.grounding.verdicts import CONTRADICTED, SUPPORTED
from recipes.sources.ptbxl import PtbxlItem
from recipes.teachers.diagnoses import diagnoses_in
from recipes.teachers.questions import KINDS, Known, ask

from .corpus import RATE
from .junk import OF_PICTURES, Junk, declines, junk
from .states import conversation_tokens

SEED = 1  # other examples than those that were learned from
# Kinds whose right answer is known from the labels, not from measurements.
BY_LABEL = ("infarction", "block", "conduction disturbance", "hypertrophy", "ST-T change", "normal")


def question_scores(
    interpret: GemPipeline, items: Sequence[PtbxlItem], known: Sequence[Known], batch_size: int
) -> dict[str, dict[str, float | int]]:
    """Per kind of question the share of right answers, of `count` where right can be told."""
    scores = {}
    for kind in KINDS:
        rng = np.random.default_rng(SEED)
        asked = [ask(kind, one, rng) for one in known]
        chats = [
            interpret.processor.build_conversation(item.record, question=question)
            for item, (question, _) in zip(items, asked, strict=True)
        ]
        outputs = interpret(iter(chats), batch_size=batch_size, grounding="off", do_sample=False)
        answers = [output["generated_text"] for output in tqdm(outputs, total=len(chats), desc=kind)]
        told = [
            is_right(kind, answer, right, one) for answer, (_, right), one in zip(answers, asked, known, strict=True)
        ]
        right = [value for value in told if value is not None]
        scores[kind] = {"right": float(np.mean(right)) if right else float("nan"), "count": len(right)}
    return scores


def is_right(kind: str, answer: str, reference: str, known: Known) -> bool | None:
    """
    Whether an answer is right: a yes or no as in the reference, by the labels; the reference's words where nothing is
    measured; else that a claim is supported and none contradicted. `None` where measurements decide and say nothing.
    """
    if kind in BY_LABEL:
        return answer.split()[:1] == reference.split()[:1]
    if kind == "impression":
        return diagnoses_in(answer) == diagnoses_in(reference)
    if "cannot tell" in reference or "not measurable" in reference or answer == reference:
        return answer == reference
    if not check_grounding(reference, known.features).count(SUPPORTED):
        return None
    report = check_grounding(answer, known.features)
    return report.count(SUPPORTED) > 0 and report.count(CONTRADICTED) == 0


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


__all__ = ["bare_inputs", "is_right", "junk_scores", "question_scores", "ungated_answers"]
