"""Where on the ECG the evidence for a claim lies, as (lead, start, end) in s for `highlight`."""

from collections.abc import Callable

import numpy as np

from .ecg_claims import Claim
from .ecg_features import EcgFeatures

Span = tuple[str, float, float]
MARGIN_S = 0.01


def evidence(claim: Claim, features: EcgFeatures) -> list[Span]:
    """The waves a claim is about, in its leads and beats; in a rhythm lead where it names none.

    Example:
        >>> from processing.ecg_claims import extract_claims
        >>> from processing.ecg_features import extract_features
        >>> from processing.ecg_simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=60, seed=1).record)
        >>> evidence(extract_claims("PR 160 ms in lead II, beat 3")[0], features)[0][0]
        'II'
    """
    if not len(features.beat_times):
        return []
    bounds = _BOUNDS.get(claim.kind, _whole_beat)
    beats = [beat - 1 for beat in claim.beats if 1 <= beat <= len(features.beat_times)] if claim.beats else None
    if beats is None and claim.time_s is not None:
        beats = [int(np.abs(features.beat_times - claim.time_s).argmin())]
    spans: list[Span] = []
    for lead in _leads(claim, features):
        row = features.leads.index(lead)
        if claim.kind in _RHYTHM and beats is None:
            spans.append((lead, float(features.beat_times[0]), float(features.beat_times[-1])))
            continue
        for beat in range(len(features.beat_times)) if beats is None else beats:
            start, end = bounds(features, row, beat)
            if np.isfinite(start) and np.isfinite(end) and end > start:
                start, end = max(start - MARGIN_S, 0.0), min(end + MARGIN_S, features.duration)
                spans.append((lead, round(float(start), 3), round(float(end), 3)))
    return spans


_RHYTHM = ("heart_rate", "rhythm", "regularity", "rr_interval", "ectopy", "ventricular_ectopy", "atrial_ectopy", "bigeminy", "pause", "normal_ecg")  # fmt: skip
_DEFAULT_LEADS: dict[str, tuple[str, ...]] = {
    "qrs_axis": ("I", "aVF"),
    "p_axis": ("I", "aVF"),
    "t_axis": ("I", "aVF"),
    "sokolow_lyon": ("V1", "V5", "V6"),
    "cornell": ("aVL", "V3"),
    "lvh": ("V1", "V5", "V6"),
    "rvh": ("V1",),
    "rbbb": ("V1", "V6"),
    "lbbb": ("V1", "V6"),
    "incomplete_rbbb": ("V1",),
    "lafb": ("I", "aVF"),
    "lpfb": ("I", "aVF"),
    "r_progression": ("V1", "V2", "V3", "V4"),
    "poor_r_progression": ("V1", "V2", "V3", "V4"),
}


def _leads(claim: Claim, features: EcgFeatures) -> list[str]:
    wanted = claim.leads or _DEFAULT_LEADS.get(claim.kind) or ("II", *features.leads)[:1]
    leads = [lead for lead in wanted if lead in features.leads]
    return leads or list(features.leads[:1])


def _marks(features: EcgFeatures, wave: str, row: int, beat: int) -> np.ndarray:
    """Onset, peak, offset of a wave in a lead; the heart's own where the lead shows none."""
    marks = features.waves[wave]
    if row < len(marks) and beat < marks.shape[1] and np.isfinite(marks[row, beat]).all():
        return marks[row, beat]
    whole = features.beat_waves[wave]
    return whole[beat] if beat < len(whole) else np.full(3, np.nan)


def _wave(wave: str) -> Callable[[EcgFeatures, int, int], tuple[float, float]]:
    def bounds(features: EcgFeatures, row: int, beat: int) -> tuple[float, float]:
        onset, _, offset = _marks(features, wave, row, beat)
        return float(onset), float(offset)

    return bounds


def _between(
    first: str, last: str, from_offset: bool, to_offset: bool
) -> Callable[[EcgFeatures, int, int], tuple[float, float]]:
    def bounds(features: EcgFeatures, row: int, beat: int) -> tuple[float, float]:
        start = _marks(features, first, row, beat)[2 if from_offset else 0]
        end = _marks(features, last, row, beat)[2 if to_offset else 0]
        return float(start), float(end)

    return bounds


def _st(features: EcgFeatures, row: int, beat: int) -> tuple[float, float]:
    j_point = float(_marks(features, "QRS", row, beat)[2])
    return j_point, j_point + 0.12


def _q(features: EcgFeatures, row: int, beat: int) -> tuple[float, float]:
    onset, _, offset = _marks(features, "QRS", row, beat)
    return float(onset), float(min(onset + 0.05, offset))


def _whole_beat(features: EcgFeatures, row: int, beat: int) -> tuple[float, float]:
    p, qrs, t = (_marks(features, wave, row, beat) for wave in ("P", "QRS", "T"))
    start = p[0] if np.isfinite(p[0]) else qrs[0] - 0.04
    end = t[2] if np.isfinite(t[2]) else qrs[2] + 0.2
    return float(start), float(end)


_BOUNDS: dict[str, Callable[[EcgFeatures, int, int], tuple[float, float]]] = {
    "pr_interval": _between("P", "QRS", False, False),
    "av_block": _between("P", "QRS", False, False),
    "pre_excitation": _between("P", "QRS", False, False),
    "qt_interval": _between("QRS", "T", False, True),
    "qtc_interval": _between("QRS", "T", False, True),
    "qtc_bazett": _between("QRS", "T", False, True),
    "qtc_fridericia": _between("QRS", "T", False, True),
    "long_qt": _between("QRS", "T", False, True),
    "pathological_q": _q,
    "q_duration": _q,
    "q_amplitude": _q,
    **dict.fromkeys(("st_elevation", "st_depression", "st_deviation", "st_level", "st_duration"), _st),
    **dict.fromkeys(("p_waves", "p_duration", "p_amplitude", "p_inversion", "p_tall", "p_wide", "p_axis", "lae", "rae"), _wave("P")),
    **dict.fromkeys(("t_inversion", "t_flat", "t_tall", "t_abnormality", "t_amplitude", "t_duration", "t_axis"), _wave("T")),
    **dict.fromkeys(
        (
            "qrs_duration", "qrs_amplitude", "qrs_axis", "qrs_pattern", "r_amplitude", "s_amplitude", "sokolow_lyon",
            "cornell", "lvh", "rvh", "low_voltage", "rbbb", "lbbb", "incomplete_rbbb", "incomplete_lbbb", "ivcd",
            "bundle_branch_block", "lafb", "lpfb", "r_progression", "poor_r_progression",
        ),
        _wave("QRS"),
    ),
}  # fmt: skip

__all__ = ["evidence"]
