# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Output of `gem features` and `gem inspect` for people: tables with units and normal ranges."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from processing import ecg_limits as limits
from processing.ecg_features_text import p_waves_in_words, to_be_known, unusual
from processing.ecg_rules import pathological_q_leads, st_depressed_leads, st_elevated_leads
from recipes.record_options import ORIGINS, as_options

if TYPE_CHECKING:
    from processing.ecg_features import EcgFeatures

OUTSIDE = {"low": ("< low", "bold red"), "high": ("> high", "bold red"), "": ("", "")}
UNKNOWN = "-"


def number(value: float | None, digits: int = 0) -> str:
    """A number for reading; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.00"


def print_features(console: Console, features: "EcgFeatures") -> None:
    """The record's measures beside their normal ranges, abnormal findings, then a table of the leads."""
    if not len(features.beat_times):
        console.print(f"No measurements: {features.note}.")
        return
    console.print(_record_table(features), soft_wrap=False)
    for words in _findings(features):
        console.print(f"- {words}", soft_wrap=False)
    console.print(_lead_table(features), soft_wrap=False)
    console.print(f"Normal ranges are those of {_whose(features)} at rest, see processing/ecg_limits.py.", style="dim")


def _whose(features: "EcgFeatures") -> str:
    """Whose normal ranges are shown: the limits of QTc and Cornell voltage follow the sex, those of QRS and axis the age."""
    people = {"F": "women", "M": "men", None: "adults"}[features.sex]
    return people if features.age is None else f"{people} of {features.age:g} years"


def _record_table(features: "EcgFeatures") -> Table:
    table = Table(
        title=f"{len(features.beat_times)} beats in {features.duration:.1f} s",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for name, side in (("measure", "left"), ("value", "right"), ("unit", "left"), ("normal", "right"), ("", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for name, value, digits, limit in _measures(features):
        side = _side(value, limit)
        words, style = OUTSIDE[side]
        table.add_row(name, Text(number(value, digits), style), limit.unit, _range(limit, digits), Text(words, style))
    table.add_row("Rhythm", features.rhythm_regularity or UNKNOWN, "", "regular", "")
    table.add_row("P waves", p_waves_in_words(features), "", "present", "")
    return table


def _side(value: float, limit: limits.Limit) -> str:
    """On which side of its normal range a value lies; a limit without a lower end is abnormal from itself on, as the rules say."""
    if not math.isfinite(value):
        return ""
    if math.isinf(limit.low):
        return "high" if value >= limit.high else ""
    return "low" if value < limit.low else "high" if value > limit.high else ""


def _measures(features: "EcgFeatures") -> Iterator[tuple[str, float, int, limits.Limit]]:
    """Name, value, digits and normal range of the measures of a record, for the sex and age of the patient where known."""
    below = -math.inf
    qrs = limits.Limit(below, limits.wide_qrs_limit(features.age), "ms", limits.PART_3)
    qtc = limits.qtc_limit(features.sex)
    sokolow = limits.Limit(below, limits.SOKOLOW_LYON_MV, "mV", limits.PART_5)
    cornell = limits.Limit(below, limits.cornell_limit(features.sex), "mV", limits.PART_5)
    anywhere = limits.Limit(below, math.inf, limits.AXIS.unit, "")
    yield "Heart rate", features.heart_rate, 0, limits.HEART_RATE
    yield "PR interval", features.pr_interval, 0, limits.PR
    yield "P duration", features.p_duration, 0, limits.P_DURATION
    yield "QRS duration", features.qrs_duration, 0, qrs
    yield "QT interval", features.qt_interval, 0, limits.QT
    yield "QTc (Bazett)", features.qtc_bazett, 0, qtc
    yield "QTc (Fridericia)", features.qtc_fridericia, 0, qtc
    yield "QRS axis", features.qrs_axis, 0, limits.axis_limit(features.age)
    yield "P axis", features.p_axis, 0, anywhere
    yield "T axis", features.t_axis, 0, anywhere
    yield "Sokolow-Lyon", features.sokolow_lyon, 2, sokolow
    yield "Cornell", features.cornell, 2, cornell


def _range(limit: limits.Limit, digits: int) -> str:
    """`60 to 100`, `below 120`; nothing where every value is normal."""
    if math.isinf(limit.high):
        return ""
    high = f"{limit.high:.{digits}f}"
    return f"below {high}" if math.isinf(limit.low) else f"{limit.low:.{digits}f} to {high}"


def _findings(features: "EcgFeatures") -> Iterator[str]:
    """One sentence for each value outside of its range, and for what must be known of the record."""
    for words, leads in (
        ("ST elevated in", st_elevated_leads(features)),
        ("ST depressed in", st_depressed_leads(features)),
        ("T inverted in", features.t_inversion),
        ("pathological Q in", pathological_q_leads(features)),
    ):
        if leads:
            yield f"{words} {', '.join(leads)}"
    if features.low_voltage:
        yield "low voltage"
    if features.poor_r_progression:
        yield "poor R progression"
    yield from unusual(features)
    yield from to_be_known(features)


def _lead_table(features: "EcgFeatures") -> Table:
    """Medians over the beats, a row per lead."""
    table = Table(
        title="medians over the beats; mV and ms", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    columns = ("lead", "QRS form", "P", "R", "S", "ST J", "T", "PR", "QRS", "QT", "signal")
    for name in columns:
        table.add_column(name, justify="left" if name in ("lead", "QRS form", "signal") else "right")
    for row, lead in enumerate(features.leads):
        heights = [
            number(float(features.lead_values[name][row]), 2)
            for name in ("p_amplitude", "r_amplitude", "s_amplitude", "st_j", "t_amplitude")
        ]
        times = [_median(features, name, row) for name in ("PR Interval", "QRS Duration", "QT Interval")]
        verdict = features.quality.get(lead, {}).get("verdict", UNKNOWN)
        style = "" if verdict == "good" else "bold red"
        table.add_row(lead, features.qrs_patterns.get(lead) or UNKNOWN, *heights, *times, Text(verdict, style))
    return table


def _median(features: "EcgFeatures", name: str, row: int) -> str:
    values = features.sequences[name][row]
    finite = values[np.isfinite(values)]
    return number(float(np.median(finite)) if len(finite) else None)


QUALITY_COLUMNS = {
    "verdict": "signal",
    "missing_share": "missing",
    "flat_share": "flat",
    "saturated_share": "cut off",
    "peak_to_peak_mv": "span mV",
    "noise_mv": "noise mV",
    "wander_mv": "wander mV",
}


def print_summary(console: Console, summary: Mapping[str, Any]) -> None:
    """What `inspect_record` found, in words; the verdict itself was said before."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, value in _facts(summary):
        table.add_row(Text(name, "bold"), value)
    console.print(table, soft_wrap=False)
    told = {str(reason["found"]) for reason in summary["reasons"]}
    _print_list(console, "Suspicions", [line for line in summary["suspicions"] if not any(t in line for t in told)])
    _print_list(console, "Changed while reading", summary["history"])
    leads = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    leads.add_column("lead")
    for name in QUALITY_COLUMNS.values():
        leads.add_column(name, justify="left" if name == "signal" else "right")
    for lead, row in summary["lead_quality"].items():
        style = "" if row["verdict"] == "good" else "bold red"
        leads.add_row(lead, Text(row["verdict"], style), *(_cell(key, row[key]) for key in list(QUALITY_COLUMNS)[1:]))
    console.print(leads, soft_wrap=False)


def _facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Record", str(summary["record_id"])
    if summary["source"]:
        yield "File", str(summary["source"])
    yield "Leads", f"{', '.join(summary['leads'])} ({len(summary['leads'])} recorded)"
    if summary["derived_leads"]:
        yield "Derived", ", ".join(summary["derived_leads"])
    if summary["missing_standard_leads"]:
        yield "Not recorded", ", ".join(summary["missing_standard_leads"])
    yield (
        "Length",
        f"{summary['duration_s']:g} s, {summary['samples']:,} samples at {summary['sampling_rate_hz']:g} Hz",
    )
    for what, words in (("name", "Names"), ("unit", "Units"), ("gain", "Gains"), ("rate", "Rate")):
        origins = _leads_by_origin(summary["evidence"], what)
        if origins:
            yield words, "; ".join(f"{origin} ({', '.join(leads)})" for origin, leads in origins.items())
    for name, value in summary["metadata"].items():
        yield name.replace("_", " ").capitalize(), _in_words(value)
    if summary["labels"]:
        yield "Labels", ", ".join(summary["labels"])
    if summary["has_report"]:
        yield "Report", "the file holds one"


def _in_words(value: object) -> str:
    """A value of the metadata; of several, each with its name."""
    if isinstance(value, Mapping):
        named = ((str(name).replace("_", " "), item) for name, item in value.items())
        said = (
            f"{name} ({_in_words(item)})" if isinstance(item, Mapping) else f"{name} {_in_words(item)}"
            for name, item in named
        )
        return ", ".join(said)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(round(value, 3)) if isinstance(value, float) else str(value)


def _leads_by_origin(evidence: Mapping[str, Mapping[str, str | None]], what: str) -> dict[str, list[str]]:
    """Where `what` comes from, if the file does not simply say it -> of which leads; "all leads" where it is one origin."""
    found: dict[str, list[str]] = {}
    for lead, entry in evidence.items():
        origin = entry[what]
        if origin not in (None, "stated"):
            found.setdefault(ORIGINS[origin], []).append(lead)
    return {origin: leads if len(leads) < len(evidence) else ["all leads"] for origin, leads in found.items()}


def _print_list(console: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(title, style="bold")
        for line in lines:
            console.print(as_options(f"- {line}"), soft_wrap=False)


def _cell(key: str, value: float | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if key.endswith("_share"):
        return "" if value == 0 else f"{value:.1%}"
    return f"{value:.4g}" if key == "peak_to_peak_mv" else f"{value:.3f}"


__all__ = ["number", "print_features", "print_summary"]
