# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Quantitative criteria of adult ECG reading, each with its source; the protocol variant of the diagnosis guider cites them."""

from dataclasses import dataclass

# Recommendations for the standardization and interpretation of the electrocardiogram, AHA/ACCF/HRS:
PART_3 = "AHA/ACCF/HRS 2009, part III (Surawicz et al.)"
PART_4 = "AHA/ACCF/HRS 2009, part IV (Rautaharju et al.)"
PART_5 = "AHA/ACCF/HRS 2009, part V (Hancock et al.)"
PART_6 = "AHA/ACCF/HRS 2009, part VI (Wagner et al.)"
BRADYCARDIA = "ACC/AHA/HRS 2018, bradycardia and conduction delay (Kusumoto et al.)"
TACHYCARDIA = "ACC/AHA/HRS 2015, supraventricular tachycardia (Page et al.)"
FIBRILLATION = "ESC 2020, atrial fibrillation (Hindricks et al.)"
INFARCTION = "fourth universal definition of myocardial infarction, 2018 (Thygesen et al.)"
MINNESOTA = "Minnesota Code (Prineas, Crow and Blackburn)"


@dataclass(frozen=True)
class Criterion:
    """`topic`: a step of the reading. `rule`: what is measured and its limit, adults. `source`: who says so."""

    topic: str
    rule: str
    source: str


CRITERIA = (
    Criterion("rate", "sinus bradycardia: below 50 bpm (60 bpm is the older limit)", BRADYCARDIA),
    Criterion("rate", "sinus tachycardia: above 100 bpm", TACHYCARDIA),
    Criterion(
        "rhythm",
        "atrial fibrillation: RR intervals irregular without a pattern and no repeating P waves over the whole tracing",
        FIBRILLATION,
    ),
    Criterion("P and PR", "first degree AV block: PR above 200 ms with every P conducted", BRADYCARDIA),
    Criterion("P and PR", "PR of 220 ms or more is code 6-3", MINNESOTA),
    Criterion("P and PR", "pre-excitation: PR below 120 ms, delta wave, QRS of 120 ms or more", PART_3),
    Criterion("P and PR", "left atrial abnormality: P of 120 ms or longer", PART_5),
    Criterion("P and PR", "right atrial abnormality: P above 0.25 mV in II or above 0.15 mV in V1", PART_5),
    Criterion("axis", "normal: -30 to +90 degrees", PART_3),
    Criterion("axis", "left deviation: -30 to -90 degrees, marked beyond -45", PART_3),
    Criterion("axis", "right deviation: +90 to +180 degrees, marked beyond +120", PART_3),
    Criterion(
        "QRS",
        "complete right bundle branch block: QRS of 120 ms or more, second R in V1 or V2, S in I and V6 longer than the R "
        "or than 40 ms; incomplete from 110 ms on",
        PART_3,
    ),
    Criterion(
        "QRS",
        "complete left bundle branch block: QRS of 120 ms or more, broad notched or slurred R in I, aVL, V5, V6 without q; "
        "incomplete from 110 ms on",
        PART_3,
    ),
    Criterion(
        "QRS", "non-specific intraventricular conduction disturbance: QRS above 110 ms without either form", PART_3
    ),
    Criterion("QRS", "left anterior fascicular block: axis -45 to -90 degrees, qR in aVL, QRS below 120 ms", PART_3),
    Criterion(
        "QRS",
        "left posterior fascicular block: axis +90 to +180 degrees, rS in I and aVL, qR in III and aVF, QRS below 120 ms",
        PART_3,
    ),
    Criterion(
        "QRS",
        "pathological Q: 20 ms or more (or QS) in V2 and V3; elsewhere 30 ms or more and 0.1 mV or deeper (or QS) in two "
        "neighbouring leads",
        INFARCTION,
    ),
    Criterion(
        "voltage", "left ventricular hypertrophy: S in V1 plus R in V5 or V6 of 3.5 mV or more (Sokolow-Lyon)", PART_5
    ),
    Criterion(
        "voltage",
        "left ventricular hypertrophy: R in aVL plus S in V3 above 2.8 mV in men, 2.0 mV in women (Cornell)",
        PART_5,
    ),
    Criterion(
        "voltage",
        "high left amplitude, code 3-1: R above 2.6 mV in V5 or V6, 2.0 mV in I, II, III or aVF, 1.2 mV in aVL",
        MINNESOTA,
    ),
    Criterion(
        "voltage", "low voltage, code 9-1: QRS below 0.5 mV in I, II and III, or below 1.0 mV in V1 to V6", MINNESOTA
    ),
    Criterion(
        "R progression",
        "posterior infarction: R of 40 ms or more and R/S of 1 or more in V1 and V2 with upright T",
        INFARCTION,
    ),
    Criterion(
        "ST",
        "elevation at the J point in two neighbouring leads: 0.1 mV or more; in V2 and V3 0.2 mV (men from 40 years on), "
        "0.25 mV (younger men), 0.15 mV (women)",
        INFARCTION,
    ),
    Criterion("ST", "depression: horizontal or falling, 0.05 mV or more in two neighbouring leads", INFARCTION),
    Criterion(
        "ST",
        "depression of 0.1 mV or more in six or more leads with elevation in aVR or V1: left main or several vessels",
        INFARCTION,
    ),
    Criterion(
        "ST", "site of an injury: II, III, aVF inferior; V1 to V4 anterior and septal; I, aVL, V5, V6 lateral", PART_6
    ),
    Criterion("T", "ischaemic inversion: deeper than 0.1 mV in two neighbouring leads with a dominant R", INFARCTION),
    Criterion("T", "inverted -0.1 to -0.5 mV, deep to -1.0 mV, giant beyond; low below a tenth of the R", PART_4),
    Criterion("QT", "prolonged QTc: 450 ms or more in men, 460 ms or more in women", PART_4),
    Criterion("QT", "short QTc: 390 ms or less", PART_4),
    Criterion("QT", "a wide QRS lengthens QT by itself: judge the JT part before calling QT long", PART_4),
)

__all__ = ["CRITERIA", "Criterion"]
