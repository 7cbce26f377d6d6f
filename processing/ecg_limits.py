# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Every clinical limit, once, with its unit and its source, and the margins derived from it.

A limit that depends on sex or age has a function, which states the limit for unknown sex and age. Limits without a function are
those of adults. `ecg_rules` decides findings by these limits, and criteria for teachers are written from them; the table in
`docs/grounding.md` is tested against them.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

Sex = Literal["F", "M"]

PART_3: Final = "AHA/ACCF/HRS 2009, part III (Surawicz et al.)"
PART_4: Final = "AHA/ACCF/HRS 2009, part IV (Rautaharju et al.)"
PART_5: Final = "AHA/ACCF/HRS 2009, part V (Hancock et al.)"
PART_6: Final = "AHA/ACCF/HRS 2009, part VI (Wagner et al.)"
BRADYCARDIA: Final = "ACC/AHA/HRS 2018, bradycardia and conduction delay (Kusumoto et al.)"
TACHYCARDIA: Final = "ACC/AHA/HRS 2015, supraventricular tachycardia (Page et al.)"
FIBRILLATION: Final = "ESC 2020, atrial fibrillation (Hindricks et al.)"
ARRHYTHMIA: Final = "ESC 2022, ventricular arrhythmias and sudden death (Zeppenfeld et al.)"
INHERITED: Final = "HRS/EHRA/APHRS 2013, inherited primary arrhythmia syndromes (Priori et al.)"
INFARCTION: Final = "fourth universal definition of myocardial infarction, 2018 (Thygesen et al.)"
MINNESOTA: Final = "Minnesota Code (Prineas, Crow and Blackburn)"
CUSTOM: Final = "customary in textbooks; no guideline sets it"


@dataclass(frozen=True)
class Limit:
    """The normal range of a measure: `low` and `high` in `unit`, infinite where that side is open."""

    low: float
    high: float
    unit: str
    source: str

    def contains(self, value: float) -> bool:
        """Whether `value` is within the range, both ends counted."""
        return self.low <= value <= self.high


# Rate and rhythm ------------------------------------------------------------------------------------------------------

HEART_RATE: Final = Limit(60.0, 100.0, "bpm", CUSTOM)
# The 2018 guideline calls sinus bradycardia only what is below 50 bpm; words are held against the older 60 bpm.
BRADYCARDIA_2018_BPM: Final = 50.0
# The ventricles follow atrial fibrillation at a controlled rate up to here: lenient control (RACE II, Van Gelder et al., N Engl J Med
# 2010;362:1363), the first goal of ESC 2020.
CONTROLLED_RESPONSE_BPM: Final = 110.0
# A rhythm is regular where every RR interval is within this share of the median one, mostly regular where 70 % are.
REGULAR_RR_SHARE: Final = 0.10
MOSTLY_REGULAR_SHARE: Final = 0.7
# SD of the RR intervals over their mean: on PTB-XL atrial fibrillation is above, what else is not regular mostly below.
FIBRILLATION_RR_VARIABILITY: Final = 0.06
SINUS_ARRHYTHMIA_RR_VARIABILITY: Final = 0.035
# A beat is premature where its RR interval is below this share of the usual one.
PREMATURE_RR_SHARE: Final = 0.86
# A premature beat is wide from 20 ms above the usual QRS on, and not below 108 ms.
WIDE_PREMATURE_MORE_MS: Final = 20.0
WIDE_PREMATURE_MS: Final = 108.0
# A pause of a 10 s record: own choice, as the 3 s of the 2018 guideline concern treatment, not words.
PAUSE_S: Final = 1.5
PAUSE_RR_SHARE: Final = 1.4
# The pause that reports of long-term ECGs list: ACC/AHA guidelines for ambulatory electrocardiography 1999 (Crawford et al.).
LONG_PAUSE_S: Final = 2.0
# So many ectopic beats in a row are a run (a tachycardia, from 100 a minute on): ACC/AHA/HRS 2006 (Buxton et al.).
RUN_BEATS: Final = 3
BIGEMINY_SHARE: Final = 0.35  # of the beats are premature
# The atria in flutter (ESC 2020), and the ventricles with 2:1 conduction.
FLUTTER_RATE: Final = Limit(240.0, 360.0, "bpm", FIBRILLATION)
FLUTTER_TWO_TO_ONE: Final = Limit(120.0, 180.0, "bpm", FIBRILLATION)
# Junctional rhythm is slower than this, beyond it is a tachycardia.
JUNCTIONAL_HIGHEST_BPM: Final = 110.0

# Intervals ------------------------------------------------------------------------------------------------------------

PR: Final = Limit(120.0, 200.0, "ms", f"{BRADYCARDIA}; {PART_3}")  # longer: AV block; shorter: pre-excitation
PR_CODE_6_3_MS: Final = 220.0  # Minnesota Code
# Abnormal from 120 ms on (part V); the shortest is customary.
P_DURATION: Final = Limit(60.0, 120.0, "ms", PART_5)
WIDE_QRS_MS: Final = 120.0  # complete block from 120 ms on, part III
INCOMPLETE_BLOCK_MS: Final = 110.0  # incomplete block from 110 ms on, part III
# Of children up to an age in years: complete and incomplete block, part III (it gives 86 ms below 8 years; taken below 4).
CHILDREN_QRS_MS: Final = {3: (90.0, 86.0), 16: (100.0, 90.0)}
ADULT_ABOVE_YEARS: Final = 16
# Later R peaks, from the QRS onset: left bundle branch block, and right where V1 is upright without an r' (part III).
R_PEAK_V5_V6_MS: Final = 60.0
R_PEAK_V1_MS: Final = 50.0
QT: Final = Limit(330.0, 450.0, "ms", CUSTOM)  # uncorrected: depends on the rate
# Prolonged from 450 ms (men) or 460 ms (women) on, short up to 390 ms: part IV.
QTC_BY_SEX: Final = {"M": Limit(390.0, 450.0, "ms", PART_4), "F": Limit(390.0, 460.0, "ms", PART_4)}
# Of unknown sex: prolonged is what is prolonged in everybody (from 460 ms on), between 450 and 460 ms is borderline; short is
# what the short QT syndrome asks for (up to 360 ms, ESC 2022), between 360 and 390 ms is borderline.
QTC: Final = Limit(360.0, 460.0, "ms", f"{PART_4}; short: {ARRHYTHMIA}")
QTC_BORDERLINE: Final = Limit(390.0, 450.0, "ms", PART_4)


def qtc_limit(sex: Sex | None = None) -> Limit:
    """The range of a normal QTc; without the sex the one outside of which it is abnormal in everybody."""
    return QTC if sex is None else QTC_BY_SEX[sex]


def wide_qrs_limit(age: float | None = None) -> float:
    """ms from which the QRS is wide, as in a complete bundle branch block; of unknown age the limit of adults."""
    return _by_age(age, WIDE_QRS_MS, 0)


def incomplete_block_limit(age: float | None = None) -> float:
    """ms from which the QRS is as long as in an incomplete bundle branch block; of unknown age the limit of adults."""
    return _by_age(age, INCOMPLETE_BLOCK_MS, 1)


def _by_age(age: float | None, adult: float, column: int) -> float:
    whole_years = math.inf if age is None else math.floor(age)
    return next((limits[column] for years, limits in CHILDREN_QRS_MS.items() if whole_years <= years), adult)


# Axis -----------------------------------------------------------------------------------------------------------------

AXIS: Final = Limit(-30.0, 90.0, "degrees", PART_3)
# Of children below an age in years: part III; beyond it on either side is a left or a right deviation.
CHILDREN_AXIS: Final = {
    1: Limit(10.0, 120.0, "degrees", PART_3),
    5: Limit(5.0, 100.0, "degrees", PART_3),
    8: Limit(0.0, 140.0, "degrees", PART_3),
    16: Limit(0.0, 120.0, "degrees", PART_3),
}
LEFT_AXIS: Final = Limit(-90.0, -30.0, "degrees", PART_3)
LEFT_TYPE: Final = Limit(-30.0, 30.0, "degrees", CUSTOM)  # the "Linkstyp" of German reports
RIGHT_AXIS: Final = Limit(90.0, 180.0, "degrees", PART_3)
MARKED_LEFT_AXIS_DEG: Final = -45.0
MARKED_RIGHT_AXIS_DEG: Final = 120.0
LEFT_ANTERIOR_AXIS: Final = Limit(-90.0, -45.0, "degrees", PART_3)
LEFT_POSTERIOR_AXIS: Final = Limit(90.0, 180.0, "degrees", PART_3)


def axis_limit(age: float | None = None) -> Limit:
    """The range of a normal QRS axis; of unknown age that of adults."""
    return next((limit for years, limit in CHILDREN_AXIS.items() if age is not None and age < years), AXIS)


# P waves --------------------------------------------------------------------------------------------------------------

P_HEIGHT_MV: Final = 0.25  # in II, part V
P_HEIGHT_V1_MV: Final = 0.15  # part V
P_INVERTED_MV: Final = -0.03  # own choice: what our delineation measures reliably
P_NORMALLY_INVERTED: Final = ("III", "aVR", "aVL", "V1")  # own choice: the axis of a sinus P lies near 60 degrees

# Q waves --------------------------------------------------------------------------------------------------------------

# Fourth universal definition: 20 ms or QS in V2 and V3; 30 ms and 0.1 mV, or QS, elsewhere. It gives no depth for V2 and V3;
# 0.03 mV is what noise does not reach.
Q_RIGHT_CHEST_LEADS: Final = ("V2", "V3")
Q_DURATION_MS: Final = 30.0
Q_DEPTH_MV: Final = 0.1
Q_DURATION_V2_V3_MS: Final = 20.0
Q_DEPTH_V2_V3_MV: Final = 0.03
# A Q wave beside a pathological one counts too where it is so little shorter: own choice, half of what readings differ by.
Q_BESIDE_SHORTER_MS: Final = 5.0
Q_NORMAL_LEADS: Final = ("aVR", "V1")  # may show a QS in healthy adults


def q_limits(lead: str) -> tuple[float, float]:
    """Duration (ms) and depth (mV) from which a Q wave of `lead` is pathological."""
    if lead in Q_RIGHT_CHEST_LEADS:
        return Q_DURATION_V2_V3_MS, Q_DEPTH_V2_V3_MV
    return Q_DURATION_MS, Q_DEPTH_MV


# Voltage --------------------------------------------------------------------------------------------------------------

LOW_VOLTAGE_LIMB_MV: Final = 0.5  # no QRS of a limb lead reaches it: part V
LOW_VOLTAGE_CHEST_MV: Final = 1.0  # no QRS of a chest lead reaches it: part V
LEADS_OF_A_PLANE: Final = 6  # limb leads; chest leads
SOKOLOW_LYON_MV: Final = 3.5  # Sokolow and Lyon 1949; part V
CORNELL_BY_SEX_MV: Final = {"F": 2.0, "M": 2.8}  # Casale 1985; part V
CORNELL_MV: Final = sum(CORNELL_BY_SEX_MV.values()) / 2  # of unknown sex: the mean of both


def cornell_limit(sex: Sex | None = None) -> float:
    """mV from which the Cornell voltage is high."""
    return CORNELL_MV if sex is None else CORNELL_BY_SEX_MV[sex]


R_AVL_MV: Final = 1.1  # part V
R_I_S_III_MV: Final = 2.5  # part V
R_V5_V6_MV: Final = 2.6  # part V; Minnesota Code 3-1
R_LIMB_CODE_3_1_MV: Final = 2.0  # I, II, III, aVF: Minnesota Code
R_AVL_CODE_3_1_MV: Final = 1.2  # Minnesota Code
POOR_R_V3_MV: Final = 0.3  # Zema 1982

# ST and T -------------------------------------------------------------------------------------------------------------

ST_ELEVATION_MV: Final = 0.1  # fourth universal definition, at the J point; in V2 and V3 more:
ST_V2_V3_WOMEN_MV: Final = 0.15
ST_V2_V3_MEN_MV: Final = 0.2
ST_V2_V3_YOUNG_MEN_MV: Final = 0.25
YOUNG_MEN_BELOW_YEARS: Final = 40
# Part VI: -0.1 mV, and -0.05 mV in V2 and V3; the fourth universal definition: -0.05 mV, horizontal or falling, in two
# neighbouring leads. Words about a lead are held against -0.1 mV: the form is not asked for, and 0.04 mV are noise.
ST_DEPRESSION_MV: Final = 0.1
ST_DEPRESSION_TWO_LEADS_MV: Final = 0.05
ST_HORIZONTAL_MV: Final = 0.05  # less change from J to J+80 ms is horizontal
T_INVERTED_MV: Final = -0.1  # part IV
T_DEEP_MV: Final = -0.5  # part IV
T_GIANT_MV: Final = -1.0  # part IV
# Flat: within 0.1 mV in one of these leads, in aVL only beside an R of more than 0.3 mV (part IV).
T_FLAT_MV: Final = 0.1
T_FLAT_LEADS: Final = ("I", "II", "aVL", "V4", "V5", "V6")
T_FLAT_AVL_R_MV: Final = 0.3
T_TALL_LIMB_MV: Final = 0.5  # customary
T_TALL_CHEST_MV: Final = 1.0  # customary
T_NORMALLY_INVERTED: Final = ("aVR", "V1")  # part IV
BRUGADA_LEADS: Final = ("V1", "V2")
BRUGADA_ST_MV: Final = 0.2  # at the J point in one of them: HRS/EHRA/APHRS 2013; ESC 2022


def t_tall_limit(lead: str) -> float:
    """mV from which a T wave of `lead` is tall."""
    return T_TALL_CHEST_MV if lead.startswith("V") else T_TALL_LIMB_MV


def st_elevation_limit(lead: str, sex: Sex | None = None, age: float | None = None) -> float:
    """mV from which the ST segment of `lead` is elevated (fourth universal definition).

    V2 and V3: 0.15 mV in women, 0.25 mV in men below 40 years, else 0.2 mV; without the sex 0.2 mV, the limit of most
    patients with an infarction.
    """
    if lead not in ("V2", "V3"):
        return ST_ELEVATION_MV
    if sex == "F":
        return ST_V2_V3_WOMEN_MV
    young = age is not None and age < YOUNG_MEN_BELOW_YEARS
    return ST_V2_V3_YOUNG_MEN_MV if sex == "M" and young else ST_V2_V3_MEN_MV


# What a recording may hold --------------------------------------------------------------------------------------------

MAX_PLAUSIBLE_MV: Final = 20.0  # an ECG stays below, at the skin
FLAT_MV: Final = 0.02  # a lead that spans less is flat as a whole
MIN_DURATION_S: Final = 1.0  # a shorter record may hold no beat
# Below it one sample is more than 10 ms, half of what readers of an interval differ by; PTB-XL's coarser files have 100 Hz.
COARSE_BELOW_HZ: Final = 100.0
# Below it the QRS complex is smeared: PTB-XL's records resampled to 70, 64, 60 and 50 Hz read QRS 11, 23, 34 and 73 ms too long (mean of 40), and
# of 37 below 110 ms 2, 15, 28 and 37 as wide.
INTERVALS_FROM_HZ: Final = 70.0
# R + S of the median QRS complex: first and 99th percentile, of each lead (`python -m benchmarks.qrs_sizes`).
_PTBXL: Final = "2,322 ECGs of adults, PTB-XL 1.0.3, folds 1 to 8 (Wagner et al. 2020)"
QRS_SIZE: Final = {
    "I": Limit(0.29, 1.91, "mV", _PTBXL),
    "II": Limit(0.31, 2.05, "mV", _PTBXL),
    "III": Limit(0.19, 2.09, "mV", _PTBXL),
    "aVR": Limit(0.33, 1.67, "mV", _PTBXL),
    "aVL": Limit(0.15, 1.79, "mV", _PTBXL),
    "aVF": Limit(0.18, 1.93, "mV", _PTBXL),
    "V1": Limit(0.32, 2.82, "mV", _PTBXL),
    "V2": Limit(0.50, 4.18, "mV", _PTBXL),
    "V3": Limit(0.56, 4.24, "mV", _PTBXL),
    "V4": Limit(0.59, 4.11, "mV", _PTBXL),
    "V5": Limit(0.53, 3.74, "mV", _PTBXL),
    "V6": Limit(0.39, 2.97, "mV", _PTBXL),
}
# Few leads can be unusual together by chance: their QRS must be outside by this factor before the gain is suspected.
QRS_SIZE_FEW_LEADS: Final = 6
QRS_SIZE_FEW_LEADS_FACTOR: Final = 1.3

# Margins: what is beyond a limit by so much is so for every reader -----------------------------------------------------

CLEARLY_LONG_PR_MS: Final = PR.high + 10.0
CLEAR_QRS_MARGIN_MS: Final = 10.0
CLEAR_QTC_MARGIN_MS: Final = 10.0
CLEAR_AXIS_MARGIN_DEG: Final = 10.0
CLEARLY_HIGH_SOKOLOW_LYON_MV: Final = SOKOLOW_LYON_MV + 0.35
CLEARLY_LOW_VOLTAGE_SHARE: Final = 0.9  # of the limit
CLEAR_ST_MARGIN_MV: Final = 0.02
# A normal ST may be raised by more than the limit of an infarct's (young men, V1 to V4).
NORMAL_ST_FACTOR: Final = 1.75
CLEARLY_SLOW_BPM: Final = HEART_RATE.low - 15.0
CLEARLY_FAST_BPM: Final = HEART_RATE.high + 10.0
