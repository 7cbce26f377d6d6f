# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Credit for single claims in GRPO: the tokens of a claim that the waveform contradicts are blamed for it, not the whole answer.

A reward is one number for an answer with twenty or thirty claims, so it hardly tells which of them was wrong. The check knows. The advantage
of a claim's tokens is its own score (1 if it is supported, 0 if it is contradicted) minus the mean score of the claims of its kind in all
answers to the same prompt: group-relative, as GRPO's advantage of a whole answer is.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from accelerate.utils import gather_object
from transformers import PreTrainedTokenizerBase

from processing.claims.findings import BY_KIND
from processing.ecg_record import EcgRecord
from processing.grounding.check import CheckedClaim
from processing.grounding.verdicts import NOT_MEASURABLE, SUPPORTED

from .grounding_rewards import checked

Scored = tuple[int, str, bool]  # group, kind, right


@dataclass(frozen=True)
class Part:
    """A claim in an answer, or a lead that a claim names.

    Attributes:
        start, end: its characters.
        kind: of the claim; other parts of this kind in the group are what it is compared with.
        right: whether the waveform shows it.
    """

    start: int
    end: int
    kind: str
    right: bool


def judged_parts(text: str, record: EcgRecord) -> list[Part]:
    """
    The claims of `text` that the waveform decides, and the leads named in them. Diagnoses are left out where a physician's report takes
    precedence over the measurements: the reward `labels` judges these.
    """
    claims = checked(text, record).claims
    decided = [one for one in claims if one.verdict != NOT_MEASURABLE and not BY_KIND[one.claim.kind].settled]
    parts = [Part(one.claim.start, one.claim.end, one.claim.kind, one.verdict == SUPPORTED) for one in decided]
    return parts + [lead for one in decided if one.claim.polarity != "negated" for lead in _leads(text, one)]


def _leads(text: str, one: CheckedClaim) -> Iterator[Part]:
    claim = one.claim
    for lead in claim.leads:
        for found in re.finditer(rf"\b{lead}\b", text[claim.start : claim.end]):
            start, end = (claim.start + place for place in found.span())
            yield Part(start, end, f"leads of {claim.kind}", lead not in one.wrong_leads)


def claim_credit(
    tokenizer: PreTrainedTokenizerBase,
    answers: Sequence[torch.Tensor],
    records: Sequence[EcgRecord | None],
    groups: Sequence[int],
    length: int,
) -> torch.Tensor:
    """
    The advantage of every token, `(answers, length)`: the sum over the parts that it belongs to of score minus the group's mean. 0 for what
    states nothing that is measured.

    Args:
        tokenizer: of the model.
        answers: token ids of each answer without padding.
        records: the ECG of each answer; `None`: no credit.
        groups: a number for each answer that is equal for all answers to a prompt, in all processes.
        length: of the longest answer.
    """
    ends = [_token_ends(tokenizer, ids) for ids in answers]
    judged = [
        judged_parts(tokenizer.decode(ids, skip_special_tokens=True), record) if record is not None else []
        for ids, record in zip(answers, records, strict=True)
    ]
    scored = [(group, part.kind, part.right) for group, parts in zip(groups, judged, strict=True) for part in parts]
    means = _means(gather_object(scored))
    credit = torch.zeros(len(answers), length)
    for row, (group, parts) in enumerate(zip(groups, judged, strict=True)):
        starts = torch.cat([ends[row].new_zeros(1), ends[row][:-1]])
        for part in parts:
            covered = (ends[row] > part.start) & (starts < part.end)
            credit[row, : len(covered)][covered] += float(part.right) - means[group, part.kind]
    return credit


def _means(scored: Sequence[Scored]) -> dict[tuple[int, str], float]:
    scores = defaultdict(list)
    for group, kind, right in scored:
        scores[group, kind].append(float(right))
    return {key: fmean(values) for key, values in scores.items()}


def _token_ends(tokenizer: PreTrainedTokenizerBase, ids: torch.Tensor) -> torch.Tensor:
    """The number of characters up to the end of each token, `(tokens,)`; tokens are decoded together, since some need what is before them."""
    known = ids.tolist()
    begun = tokenizer.batch_decode([known[: count + 1] for count in range(len(known))], skip_special_tokens=True)
    return torch.tensor([len(text) for text in begun], dtype=torch.long)


__all__ = ["Part", "claim_credit", "judged_parts"]
