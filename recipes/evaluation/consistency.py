# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Agreement of a model's signal-only with its image-only answers, in words (BLEU-4, ROUGE-L) and in checked claims.

Words as ECG-R1's `modality_missing/compute_score.py` counts them: the signal-only answer is the prediction, the
image-only answer the reference, BLEU-4 without smoothing on 13a tokens and ROUGE-L F without stemming per record, then
the mean. Words can agree where facts do not ("no ST elevation" beside "ST elevation"): the claims tell.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from processing.claims.claims import Claim, extract_claims
from processing.claims.findings import BY_KIND
from processing.ecg_features import EcgFeatures, extract_features
from processing.errors_gem import EcgFormatError, EvaluationError, GemError
from processing.extras_gem import require
from processing.grounding.check import DEFAULT_TOLERANCES, Tolerances, check_grounding
from processing.grounding.cut_off import checkable
from recipes.console import run_command
from recipes.files import read_json_lines
from recipes.scores import ScoreRow, ScoreTable

from .answers import read_answers
from .items import EvalItem
from .report import EvaluationReport, describe_data, describe_model


@dataclass(frozen=True)
class ConsistencyScore:
    """One record, or the mean over records.

    Attributes:
        bleu4: 0..1; 0 where no four words in a row agree, and where an answer is empty (the original stops there).
        rouge_l: F measure, 0..1.
        shared: claims that both answers make about the same thing in the same leads.
        claim_agreement: share of the shared claims in which both say the same (numbers within the grounding check's
            tolerance); NaN without any.
        claim_overlap: shared claims of all claims of both (Dice); NaN without claims.
        both_supported: share of the shared claims that the measurements support in both answers; NaN without
            measurements.
    """

    bleu4: float
    rouge_l: float
    shared: int
    claim_agreement: float
    claim_overlap: float
    both_supported: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in asdict(self).items()}


def consistency(
    signal_answers: Sequence[str],
    image_answers: Sequence[str],
    features: Sequence[EcgFeatures | None] | None = None,
) -> tuple[ConsistencyScore, list[ConsistencyScore]]:
    """The mean over all records (NaN left out) and the score of each.

    Args:
        signal_answers: the model's answers from the signal alone.
        image_answers: its answers from the picture alone, in the same order.
        features: the measurements, to see which shared claims are right.

    Raises:
        EcgFormatError: the lists differ in length or are empty, or an answer is not a string.
    """
    if len(signal_answers) != len(image_answers) or not signal_answers:
        raise EcgFormatError(
            f"consistency: {len(signal_answers)} signal-only and {len(image_answers)} image-only answers; "
            "give one of each per record."
        )
    if features is not None and len(features) != len(signal_answers):
        raise EcgFormatError(f"consistency: {len(features)} measurements for {len(signal_answers)} records.")
    for i, answers in enumerate(zip(signal_answers, image_answers, strict=True)):
        if not all(isinstance(answer, str) for answer in answers):
            raise EcgFormatError(f"consistency: answer {i} is not text: {answers!r}.")
    scores = [
        consistency_of(signal, image, None if features is None else features[i])
        for i, (signal, image) in enumerate(zip(signal_answers, image_answers, strict=True))
    ]
    return _mean(scores), scores


def consistency_of(signal_answer: str, image_answer: str, features: EcgFeatures | None = None) -> ConsistencyScore:
    """How far two answers about one record agree, in words and in claims.

    Args:
        signal_answer: the answer from the signal.
        image_answer: the answer from the picture.
        features: measurements of the record, for the share of shared claims that both answers have right.

    Raises:
        ClaimError: an answer is too long.

    Examples:
        >>> score = consistency_of("Sinus rhythm, 75 bpm. No ST elevation.", "Sinus rhythm at 74 bpm, ST elevation in V2.")
        >>> score.shared, round(score.claim_agreement, 2)
        (3, 0.67)
    """
    claims = extract_claims(checkable(signal_answer)), extract_claims(checkable(image_answer))
    pairs = shared_claims(*claims)
    total = len(claims[0]) + len(claims[1])
    return ConsistencyScore(
        bleu4=bleu4(signal_answer, image_answer),
        rouge_l=rouge_l(signal_answer, image_answer),
        shared=len(pairs),
        claim_agreement=sum(says_the_same(a, b) for a, b in pairs) / len(pairs) if pairs else math.nan,
        claim_overlap=2 * len(pairs) / total if total else math.nan,
        both_supported=_both_supported(pairs, features) if features is not None else math.nan,
    )


# Words ----------------------------------------------------------------------------------------------------------------


def bleu4(prediction: str, reference: str) -> float:
    """BLEU-4 of one answer, 13a tokens, no smoothing (Papineni 2002 as sacrebleu computes it), 0..1."""
    return min(_bleu().corpus_score([prediction], [[reference]]).score / 100, 1.0)


def rouge_l(prediction: str, reference: str) -> float:
    """ROUGE-L F measure, no stemming (Lin 2004 as rouge-score computes it), 0..1."""
    return float(_rouge().score(reference, prediction)["rougeL"].fmeasure)


@cache
def _bleu() -> Any:
    return require("sacrebleu", "BLEU").BLEU(smooth_method="none", tokenize="13a")


@cache
def _rouge() -> Any:
    return require("rouge_score.rouge_scorer", "ROUGE").RougeScorer(["rougeL"])


# Claims ---------------------------------------------------------------------------------------------------------------


def shared_claims(first: Sequence[Claim], second: Sequence[Claim]) -> list[tuple[Claim, Claim]]:
    """Pairs of claims about the same thing: same kind, both numbers or both words, leads in common or none named."""
    free = list(second)
    pairs = []
    for claim in first:
        fitting = [other for other in free if _same_subject(claim, other)]
        if fitting:
            best = max(
                fitting, key=lambda other: (says_the_same(claim, other), len(set(claim.leads) & set(other.leads)))
            )
            free.remove(best)
            pairs.append((claim, best))
    return pairs


def _same_subject(a: Claim, b: Claim) -> bool:
    same_form = BY_KIND[a.kind].scope != "record" or (a.unit is None) == (b.unit is None)
    return a.kind == b.kind and same_form and (not a.leads or not b.leads or bool(set(a.leads) & set(b.leads)))


def says_the_same(a: Claim, b: Claim, tolerances: Tolerances = DEFAULT_TOLERANCES) -> bool:
    """Whether two claims about the same thing agree: both deny or neither, equal words, numbers within tolerance."""
    if (a.polarity == "negated") != (b.polarity == "negated"):
        return False
    if a.unit is None or b.unit is None:
        return a.unit != b.unit or a.value == b.value
    low, high = float(a.value) - _tolerance(a, tolerances), (a.high or float(a.value)) + _tolerance(a, tolerances)
    return float(b.value) <= high and (b.high or float(b.value)) >= low


def _tolerance(claim: Claim, tolerances: Tolerances) -> float:
    size = abs(float(claim.value))
    if claim.unit == "ms":
        name = {"pr_interval": "pr_ms", "qt_interval": "qt_ms", "qtc_interval": "qtc_ms"}.get(claim.kind, "qrs_ms")
        return tolerances.rr_share * size if claim.kind == "rr_interval" else getattr(tolerances, name)
    if claim.unit == "mV":
        st = claim.kind.startswith("st_")
        floor, share = (
            (tolerances.st_mv, tolerances.st_share) if st else (tolerances.amplitude_mv, tolerances.amplitude_share)
        )
        return max(floor, share * size)
    if claim.unit == "bpm":
        return max(tolerances.heart_rate_bpm, tolerances.heart_rate_share * size)
    return tolerances.axis_deg if claim.unit == "deg" else tolerances.time_s


def _both_supported(pairs: list[tuple[Claim, Claim]], features: EcgFeatures) -> float:
    if not pairs:
        return math.nan
    checked = check_grounding([claim for pair in pairs for claim in pair], features).claims
    right = [item.verdict == "supported" for item in checked]
    return sum(a and b for a, b in zip(right[::2], right[1::2], strict=True)) / len(pairs)


def _mean(scores: Sequence[ConsistencyScore]) -> ConsistencyScore:
    def mean(name: str) -> float:
        known = [value for score in scores if not math.isnan(value := getattr(score, name))]
        return sum(known) / len(known) if known else math.nan

    return ConsistencyScore(
        bleu4=mean("bleu4"),
        rouge_l=mean("rouge_l"),
        shared=sum(score.shared for score in scores),
        claim_agreement=mean("claim_agreement"),
        claim_overlap=mean("claim_overlap"),
        both_supported=mean("both_supported"),
    )


# Files ----------------------------------------------------------------------------------------------------------------


def read_answer_pairs(path: str | Path) -> dict[str, tuple[str, str]]:
    """id -> (signal-only answer, image-only answer) of a JSON Lines file with the keys `id`, `signal` and `image`.

    Raises:
        EcgFormatError: a line is not a JSON object, lacks a key, holds no text, or repeats an id; the message names it.
    """
    pairs: dict[str, tuple[str, str]] = {}

    def refuse(number: int, error: Exception) -> NoReturn:
        raise EcgFormatError(
            f"{path}, line {number}: expected an object with id, signal and image ({error})."
        ) from error

    for number, row in read_json_lines(path, refuse):
        where = f"{path}, line {number}"
        try:
            name, signal, image = str(row["id"]), row["signal"], row["image"]
        except (KeyError, TypeError) as error:
            refuse(number, error)
        if not isinstance(signal, str) or not isinstance(image, str):
            raise EcgFormatError(f"{where}: the answers of {name} must be texts.")
        if name in pairs:
            raise EcgFormatError(f"{where}: {name} is there twice; keep one answer per record.")
        pairs[name] = (signal, image)
    if not pairs:
        raise EcgFormatError(f"{path}: no answers.")
    return pairs


def main(
    answers: Annotated[Path, typer.Argument(help="JSON Lines: id, signal (answer from the signal alone), image.")],
) -> None:
    """Print the consistency of a file of answers as JSON: the mean, then every record.

    Example: python -m recipes.evaluation.consistency answers.jsonl
    """
    pairs = read_answer_pairs(answers)
    mean, scores = consistency([signal for signal, _ in pairs.values()], [image for _, image in pairs.values()])
    records = {name: score.to_dict() for name, score in zip(pairs, scores, strict=True)}
    print(json.dumps({"mean": mean.to_dict(), "records": records}, indent=2))


if __name__ == "__main__":
    run_command(main)


_NOTE = (
    "BLEU-4 and ROUGE-L as ECG-R1 computes them (signal-only answer against image-only answer). claim agreement: share of the "
    "claims about the same thing in which both answers say the same; both supported: share of those that the measurements bear "
    "out in both."
)


def evaluate_consistency(
    items: Sequence[EvalItem], signal_answers: str | Path, image_answers: str | Path, is_part: bool = False
) -> tuple[ConsistencyScore, dict[str, ConsistencyScore], list[str], list[str]]:
    """Compares the answers from the signal alone with those from the picture alone. The unfinished last word of an answer that was cut
    off counts as a word, not as a claim.

    Args:
        items: the test set.
        signal_answers: file of answers from the signal alone.
        image_answers: file of answers from the picture alone.
        is_part: `items` is a part of the test set, so answers to other items are not an error.

    Returns:
        The mean, the scores by id, a description of each problem with the files or records, and notes about answers that are cut off.

    Raises:
        EvaluationError: no record has both answers.
    """
    files = [read_answers(path) for path in (signal_answers, image_answers)]
    texts = [file.texts_for([item.id for item in items], is_part) for file in files]
    problems = [f"{file.path.name}: {problem}" for file in files for problem in file.problems]
    asked = [("signal", files[0]), ("image", files[1])]
    notes = [f"{seen}: {note}" for seen, file in asked for note in file.cut_off_notes(item.id for item in items)]
    rows = [(item, s, i) for item, s, i in zip(items, *texts, strict=True) if s is not None and i is not None]
    if not rows:
        raise EvaluationError(f"Not one record has an answer in both {signal_answers} and {image_answers}.")
    features: list[EcgFeatures | None] = []
    for item, _, _ in rows:
        try:
            features.append(None if item.ecg is None else extract_features(item.ecg.load()))
        except (GemError, OSError) as error:
            problems.append(f"{item.id}: not measured: {error}")
            features.append(None)
    mean, scores = consistency([s for _, s, _ in rows], [i for _, _, i in rows], features)
    return mean, {item.id: score for (item, _, _), score in zip(rows, scores, strict=True)}, problems, notes


def consistency_report(
    mean: ConsistencyScore,
    scores: dict[str, ConsistencyScore],
    problems: list[str],
    items: Sequence[EvalItem],
    dataset: str,
    split: str,
    model: str | None = None,
    notes: Sequence[str] = (),
) -> EvaluationReport:
    """The table of a run; the score of every record is in its JSON."""
    values = mean.to_dict()
    values.pop("shared")
    rows = [ScoreRow(name.replace("_", " "), name, {"signal vs. image": value}) for name, value in values.items()]
    table = ScoreTable("Modality consistency", dataset, split, len(scores), ["signal vs. image"], rows, _NOTE)
    return EvaluationReport(
        "Modality consistency",
        [table],
        describe_data(dataset, ([item.id, item.question] for item in items)),
        describe_model(model),
        notes=list(notes),
        problems=problems,
        details={name: score.to_dict() for name, score in scores.items()},
    )


__all__ = ["consistency_report", "evaluate_consistency"]
