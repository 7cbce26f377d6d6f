# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The table of findings: every kind of claim, the words that make it, its verdict, evidence, salience and diagnosis.

Claims, verdicts, evidence, salience and the teachers' lexicon read it. A new finding is a row here, a function in
`ecg_rules` that decides it, and a test; `docs/grounding.md` shows one. Words are English, and those of diagnoses also German
and Swedish, as PTB-XL's reports are. Of rows whose words can match at the same place, the longer words come first. The rows of rhythm and conduction are in
`findings_rhythm`.
"""

from typing import Final

from ..ecg_limits import (
    AXIS,
    BRADYCARDIA,
    BRADYCARDIA_2018_BPM,
    BRUGADA_LEADS,
    BRUGADA_ST_MV,
    CORNELL_BY_SEX_MV,
    HEART_RATE,
    INFARCTION,
    INHERITED,
    LEFT_AXIS,
    LOW_VOLTAGE_CHEST_MV,
    LOW_VOLTAGE_LIMB_MV,
    MARKED_LEFT_AXIS_DEG,
    MARKED_RIGHT_AXIS_DEG,
    MINNESOTA,
    P_DURATION,
    P_HEIGHT_MV,
    P_HEIGHT_V1_MV,
    PART_3,
    PART_4,
    PART_5,
    PART_6,
    PR,
    PR_CODE_6_3_MS,
    Q_DEPTH_MV,
    Q_DURATION_MS,
    Q_DURATION_V2_V3_MS,
    QTC_BY_SEX,
    R_AVL_CODE_3_1_MV,
    R_LIMB_CODE_3_1_MV,
    R_V5_V6_MV,
    RIGHT_AXIS,
    SOKOLOW_LYON_MV,
    ST_DEPRESSION_TWO_LEADS_MV,
    ST_ELEVATION_MV,
    ST_V2_V3_MEN_MV,
    ST_V2_V3_WOMEN_MV,
    ST_V2_V3_YOUNG_MEN_MV,
    T_DEEP_MV,
    T_GIANT_MV,
    T_INVERTED_MV,
    TACHYCARDIA,
    YOUNG_MEN_BELOW_YEARS,
)
from ..ecg_rules import brugada_type_1_leads
from .finding import FRONTAL, NOT_MEASURED, OF_THE_AXIS, OF_THE_QRS, Criterion, Finding, LeadRule, Words, said
from .findings_rhythm import RHYTHM_AND_CONDUCTION, SINUS

WAVE = r"[\s-]?waves?"
RECORDING = (
    r"(?:12-lead\s+|twelve-lead\s+|resting\s+)?(?:ECG|EKG|electrocardiogram|tracing)(?:\s+(?:tracing|recording))?"
)
_NORMAL = ("normal", "normal_range")
# Words before `axis` and `rate`, each may stand once in a row of four: without an end a loop of them takes quadratic time.
_OF_A_RATE = r"(?:(?:mean|average|overall|resting|ventricular|heart|pulse|cardiac|sinus)\s+)?"
_OF_AN_AXIS = r"(?:(?:mean|frontal(?:[\s-]plane)?|electrical|cardiac|heart|ventricular|QRS)[\s-]+)?"
_QT = ("QT interval", "prolonged QTc")
_IN = r"(?:[\s-]?wave)?(?:\s+(?:depth|height|amplitude|voltage))?[\s-]?(?:(?:in|of)\s+)?(?:lead\s+)?"  # S in V1, R-wave height of V5
_LOW = r"(?:low|reduced|diminished|small)[\s-]+"
_TRANSITION = r"(?:(?:precordial|R\s?/\s?S|R-S|R[\s-]?wave|QRS)\s+)?transition(?:\s+(?:zone|point|lead))?(?!\s+(?:to|into|from)\b)"
_INFARCT = ("ST elevation", "pathological Q")


def _denied(wave: str, qualities: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(said(wave, qualities))


# fmt: off
_MEASURES = (
    Finding(
        "heart_rate", "The heart rate is 75 bpm.", "heart_rate", unit="bpm", plausible=(15, 350), is_measure=True,
        named=_OF_A_RATE * 4 + r"(?:rates?(?!-)|frequency|ventricular\s+response)\b|ventricular\s+response|HR\b|pulse\b(?!\s+(?:oxi\w+|waves?|pressure|generator))",
        words=(Words(r"brady(?:cardia|cardic|arrhythmia)", "bradycardia"), Words(r"tachy(?:cardia|cardic|arrhythmia)", "tachycardia"), Words(r"rate[\s-]controlled", "controlled"), Words("RVR", "tachycardia", True)),
        said={**said("heart_rate", ("slow", "low"), "bradycardia"), **said("heart_rate", ("fast", "high", "elevated"), "tachycardia"), **said("heart_rate", _NORMAL, "normal"), "heart_rate controlled": "controlled", "heart_rate uncontrolled": "uncontrolled"},
        wave="rhythm", mentions=("heart rate",),
        criteria=(
            Criterion("rate", f"sinus bradycardia: below {BRADYCARDIA_2018_BPM:.0f} bpm ({HEART_RATE.low:.0f} bpm is the older limit)", BRADYCARDIA),
            Criterion("rate", f"sinus tachycardia: above {HEART_RATE.high:.0f} bpm", TACHYCARDIA),
        ),
    ),
    Finding("atrial_rate", "The atrial rate is 300 bpm.", NOT_MEASURED, named=r"atrial\s+rate", unit="bpm", is_measure=True, wave="rhythm"),
    Finding(
        "rr_interval", "RR 800 ms.", "rr_interval", unit="ms", plausible=(150, 4000), is_measure=True,
        named=r"R\s?-?\s?R\b(?:[\s-]*intervals?)?|interbeat\s+intervals?|(?<!flutter )(?<!atrial )(?<!tachycardia )cycle\s+length", wave="rhythm",
    ),
    Finding(
        "p_duration", "The P wave duration is 110 ms.", "interval", unit="ms", plausible=(20, 250), is_measure=True,
        named=r"P(?:[\s-]?wave)?(?:'s)?\s+(?:duration|width)", wave="P",
    ),
    Finding(
        "pr_interval", "The PR interval is 160 ms.", "interval", unit="ms", plausible=(40, 700), is_measure=True,
        named=r"P\s?-?\s?[RQ]\b(?:[\s-]*(?:intervals?|times?|durations?|conduction))?|(?:AV|A-V|atrio-?ventricular)\s+conduction\s+time",
        said={f"av_conduction {word}": "prolonged" for word in ("prolonged", "slow")}, wave="PR", mentions=("PR interval", "prolonged PR"), diagnosis={"prolonged": "AV block"},
        criteria=(
            Criterion("P and PR", f"first degree AV block: PR above {PR.high:.0f} ms with every P conducted", BRADYCARDIA),
            Criterion("P and PR", f"PR of {PR_CODE_6_3_MS:.0f} ms or more is code 6-3", MINNESOTA),
        ),
    ),
    Finding(
        "qrs_duration", "The QRS duration is 92 ms.", "interval", unit="ms", plausible=(20, 350), is_measure=True,
        named=r"QRS(?:[\s-]complex(?:es)?)?(?:'s)?[\s-]+(?:duration|width|interval|time)s?|intra-?ventricular\s+conduction",
        words=(Words(r"narrow[\s-]+complex(?!es|\s+(?:ect|prem|extra))", "narrow"), Words(r"(?:wide|broad)[\s-]+complex(?!es|\s+(?:ect|prem|extra))", "wide")),
        wave="QRS", mentions=OF_THE_QRS,
    ),
    Finding(
        "qt_interval", "The QT interval is 400 ms.", "interval", unit="ms", plausible=(150, 900), is_measure=True,
        named=r"Q-?T\b(?:[\s-]*(?:intervals?|durations?|times?))?", wave="QT", mentions=_QT, diagnosis={"prolonged": "long QT"},
    ),
    Finding(
        "qtc_interval", "The QTc is 420 ms.", "qtc", unit="ms", plausible=(150, 900), is_measure=True,
        named=r"QT\s?-?c\b(?:[\s-]*(?:intervals?|durations?|values?))?|(?:rate[\s-]?)?corrected\s+QT(?:\s?-?c)?\b(?:[\s-]*intervals?)?|QT\s+corrected",
        wave="QT", mentions=_QT, diagnosis={"prolonged": "long QT"},
        criteria=(
            Criterion("QT", f"prolonged QTc: {QTC_BY_SEX['M'].high:.0f} ms or more in men, {QTC_BY_SEX['F'].high:.0f} ms or more in women", PART_4),
            Criterion("QT", f"short QTc: {QTC_BY_SEX['M'].low:.0f} ms or less", PART_4),
            Criterion("QT", "a wide QRS lengthens QT by itself: judge the JT part before calling QT long", PART_4),
        ),
    ),
    Finding("p_axis", "The P axis is 50 degrees.", "axis", named=r"P(?:[\s-]?wave)?\s+axis", unit="deg", plausible=(-360, 360), is_measure=True, wave="P", shown_in=FRONTAL),
    Finding("t_axis", "The T axis is 50 degrees.", "axis", named=r"T(?:[\s-]?wave)?\s+axis", unit="deg", plausible=(-360, 360), is_measure=True, wave="T", shown_in=FRONTAL),
    Finding(
        "qrs_axis", "The axis is 45 degrees.", "axis", unit="deg", plausible=(-360, 360), is_measure=True,
        named=_OF_AN_AXIS * 4 + r"axis|" + r"(?:(?:mean|frontal)\s+)?" * 2 + r"QRS\s+vector",
        words=(
            Words(r"(?:extreme|northwest(?:ern)?|no\s+man'?s\s+land)\s+(?:right\s+|left\s+)?(?:QRS\s+)?axis(?:\s+deviation)?|axis\s+is\s+extreme", "extreme"),
            Words(r"(?:marked\s+|mild\s+|slight\s+)?left(?:ward)?[\s-]+(?:(?:QRS|electrical)\s+)?axis(?:[\s-]+(?:deviation|shift))?|left(?:ward)?\s+(?:deviation|shift)|(?:deviate[sd]|shifted|shift|deviation)\s+(?:\w+\s+)?to(?:wards?)?\s+the\s+left|leftwards?|horizontal\s+axis", "left"),
            Words(r"(?:marked\s+|mild\s+|slight\s+)?right(?:ward)?[\s-]+(?:(?:QRS|electrical)\s+)?axis(?:[\s-]+(?:deviation|shift))?|right(?:ward)?\s+(?:deviation|shift)|(?:deviate[sd]|shifted|shift|deviation)\s+(?:\w+\s+)?to(?:wards?)?\s+the\s+right|rightwards?", "right"),
            Words(r"axis\s+deviation", "deviated"),
            # The types of the axis in German reports and in their translations; a left one reaches from -30 to 30 degrees.
            Words(r"(?:location|position|situation)\s+type\s+normal|lagetyp\s+normal|normaltyp", "normal"),
            Words(r"(?:overturned|extreme)\s+left(?:[\s-]hand)?(?:\s+position)?[\s-]type|extreme\s+left\s+electric(?:al)?\s+shaft", "left"),
            Words(r"left(?:[\s-]hand)?(?:\s+position)?[\s-]type|left\s+electric(?:al)?\s+shaft|linkstyp", "left type"),
            Words(r"right(?:[\s-]hand)?(?:\s+position)?[\s-]type|rechtstyp", "right"),
            Words(r"LAD\b(?!\s+(?:territory|occlusion|artery|lesion|stenosis|disease|infarct))", "left", exact=True),
            Words(r"RAD\b", "right", exact=True),
        ),
        said={**said("qrs_axis", ("deviation", "abnormal"), "deviated"), **said("qrs_axis", _NORMAL, "normal")},
        wave="QRS", shown_in=FRONTAL, mentions=OF_THE_AXIS,
        criteria=(
            Criterion("axis", f"normal: {AXIS.low:.0f} to +{AXIS.high:.0f} degrees", PART_3),
            Criterion("axis", f"left deviation: {LEFT_AXIS.high:.0f} to {LEFT_AXIS.low:.0f} degrees, marked beyond {MARKED_LEFT_AXIS_DEG:.0f}", PART_3),
            Criterion("axis", f"right deviation: +{RIGHT_AXIS.low:.0f} to +{RIGHT_AXIS.high:.0f} degrees, marked beyond +{MARKED_RIGHT_AXIS_DEG:.0f}", PART_3),
        ),
    ),
    Finding(
        "sokolow_lyon", "Sokolow-Lyon 2.4 mV.", "voltage_sum", unit="mV", is_measure=True,
        named=rf"(?:the\s+)?(?:sum\s+of\s+)?(?:the\s+)?(?:S{_IN}V1\s*(?:\+|and|plus|&)\s*(?:the\s+)?R{_IN}V[56](?:\s*(?:/|or)\s*(?:R{_IN})?V?[56])?|R{_IN}V[56](?:\s*(?:/|or)\s*(?:R{_IN})?V?[56])?\s*(?:\+|and|plus|&)\s*(?:the\s+)?S{_IN}V1)(?!\d)|Sokolow(?:\s?[-/]?\s?Lyon)?(?:\s+(?:index|voltage|criteri(?:on|a)|sum|value|score))*",
        wave="QRS", shown_in=("V1", "V5", "V6"), mentions=("high voltage",),
    ),
    Finding(
        "cornell", "Cornell voltage 1.4 mV.", "voltage_sum", unit="mV", is_measure=True,
        named=rf"(?:the\s+)?(?:sum\s+of\s+)?(?:the\s+)?(?:R{_IN}aVL\s*(?:\+|and|plus|&)\s*(?:the\s+)?S{_IN}V3|S{_IN}V3\s*(?:\+|and|plus|&)\s*(?:the\s+)?R{_IN}aVL)(?!\w)|Cornell(?:\s+(?:index|voltage|criteri(?:on|a)|sum|value|score))*",
        wave="QRS", shown_in=("aVL", "V3"), mentions=("high voltage",),
    ),
    Finding("p_amplitude", "The P amplitude in II is 0.1 mV.", "amplitude", named=r"P(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|height|voltage)s?", unit="mV", is_measure=True, scope="leads", wave="P"),
    Finding("qrs_amplitude", "The QRS amplitude in II is 1.1 mV.", "amplitude", named=r"QRS(?:[\s-]complex(?:es)?)?(?:'s)?\s+(?:amplitude|voltage|height|size)s?", unit="mV", is_measure=True, scope="leads", wave="QRS"),
    Finding("t_amplitude", "The T amplitude in II is 0.3 mV.", "amplitude", named=r"T(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|height|voltage)s?", unit="mV", is_measure=True, scope="leads", wave="T"),
    Finding("t_duration", "The T wave duration is 160 ms.", NOT_MEASURED, named=r"T(?:[\s-]?wave)?(?:'s)?\s+(?:duration|width)s?", unit="ms", plausible=(40, 500), is_measure=True, wave="T"),
    Finding("r_amplitude", "The R amplitude in V5 is 1.8 mV.", "amplitude", named=r"R(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|height|voltage)s?", unit="mV", is_measure=True, scope="leads", wave="QRS"),
    Finding("s_amplitude", "The S amplitude in V1 is 1.2 mV.", "amplitude", named=r"S(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|depth|voltage)s?", unit="mV", is_measure=True, scope="leads", wave="QRS"),
    Finding("q_duration", "The Q wave duration in III is 30 ms.", NOT_MEASURED, named=r"Q(?:[\s-]?wave)?(?:'s)?\s+(?:duration|width)s?", unit="ms", plausible=(5, 120), is_measure=True, scope="leads", wave="Q"),
    Finding("q_amplitude", "The Q amplitude in III is 0.2 mV.", "amplitude", named=r"Q(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|depth)s?", unit="mV", is_measure=True, scope="leads", wave="Q"),
    Finding("st_duration", "The ST duration is 120 ms.", NOT_MEASURED, named=r"ST(?:[\s-]segment)?\s+duration", unit="ms", plausible=(5, 500), is_measure=True, wave="ST"),
    Finding("st_level", "The ST level in V2 is 0.15 mV.", "amplitude", unit="mV", is_measure=True, scope="leads", wave="ST"),
    Finding("beat", "Beat 3 in V2.", "beat"),
    Finding("beat_time", "Beat 4 at 3.21 s.", "beat_time", unit="s"),
)
_VOLTAGE_AND_ATRIA = (
    Finding(
        "rvh", "Right ventricular hypertrophy.", "hypertrophy", wave="QRS", shown_in=("V1",), settled=True, diagnosis="right ventricular hypertrophy",
        words=(Words(r"right\s+(?:ventricular\s+)?hypertrophy|right\s+ventricular\s+(?:enlargement|strain)|RVH\b|rechtshypertrophie|rechtsbelastung"),),
    ),
    Finding(
        "lvh", "Left ventricular hypertrophy.", "hypertrophy", wave="QRS", shown_in=("V1", "V5", "V6"), mentions=("high voltage",), settled=True, diagnosis={True: "left ventricular hypertrophy"},
        words=(
            Words(r"left\s+(?:ventricular\s+)?hypertrophy|left\s+ventricular\s+enlargement|LVH\b(?!\s+(?:index|score))|linkshypertrophie|v[aä]nster\s?kammarhypertrofi|linksventrikul\w*\s+hypertrophie"),
            Words(r"(?:high|increased|large)\s+(?:QRS\s+)?voltages?", "high voltage"),
        ),
        said={f"{subject} high": "high voltage" for subject in ("voltage", "qrs_amplitude")},
        criteria=(
            Criterion("voltage", f"left ventricular hypertrophy: S in V1 plus R in V5 or V6 of {SOKOLOW_LYON_MV} mV or more (Sokolow-Lyon)", PART_5),
            Criterion("voltage", f"left ventricular hypertrophy: R in aVL plus S in V3 above {CORNELL_BY_SEX_MV['M']} mV in men, {CORNELL_BY_SEX_MV['F']} mV in women (Cornell)", PART_5),
            Criterion("voltage", f"high left amplitude, code 3-1: R above {R_V5_V6_MV} mV in V5 or V6, {R_LIMB_CODE_3_1_MV} mV in I, II, III or aVF, {R_AVL_CODE_3_1_MV} mV in aVL", MINNESOTA),
        ),
    ),
    Finding("septal_hypertrophy", "Septal hypertrophy.", NOT_MEASURED, words=(Words(r"septal\s+hypertrophy"),), wave="QRS", settled=True, diagnosis="septal hypertrophy"),
    Finding("hypertrophy", "Hypertrophy: yes.", "any_hypertrophy", wave="QRS", shown_in=("V1", "V5", "V6"), settled=True, words=(Words(r"(?:ventricular\s+|chamber\s+)?hypertrophy"),)),
    Finding("biatrial", "Biatrial enlargement.", NOT_MEASURED, words=(Words(r"bi-?atrial\s+(?:enlargement|abnormality|overload|hypertrophy)"),), wave="P", settled=True, diagnosis="atrial enlargement"),
    Finding(
        "lae", "Left atrial enlargement.", "atrium", wave="P", settled=True, diagnosis="atrial enlargement",
        words=(Words(r"left\s+atrial\s+(?:enlargement|abnormality|overload|hypertrophy|dilatation|dilation)|p[\s-](?:mitrale|sinistr\w+)|LAE\b"),),
        criteria=(Criterion("P and PR", f"left atrial abnormality: P of {P_DURATION.high:.0f} ms or longer", PART_5),),
    ),
    Finding(
        "rae", "Right atrial enlargement.", "atrium", wave="P", settled=True, diagnosis="atrial enlargement",
        words=(Words(r"right\s+atrial\s+(?:enlargement|abnormality|overload|hypertrophy|dilatation|dilation)|p[\s-](?:pulmonale|dextr\w+)|RAE\b"),),
        criteria=(Criterion("P and PR", f"right atrial abnormality: P above {P_HEIGHT_MV} mV in II or above {P_HEIGHT_V1_MV} mV in V1", PART_5),),
    ),
    Finding("atrial_enlargement", "Atrial enlargement.", NOT_MEASURED, words=(Words(r"atrial\s+(?:enlargement|abnormality|overload|hypertrophy)|vorhofs?(?:ü|ue)ber(?:be)?lastung"),), wave="P", settled=True, diagnosis="atrial enlargement"),
    Finding(
        "low_voltage", "Low voltage.", "low_voltage", wave="QRS", mentions=("low voltage",), settled=True,
        words=(
            Words(_LOW + r"limb[\s-]+(?:leads?[\s-]+)?(?:QRS[\s-]+)?voltages?", "limb"),
            Words(_LOW + r"(?:chest|precordial)[\s-]+(?:leads?[\s-]+)?(?:QRS[\s-]+)?voltages?", "chest"),
            Words(_LOW + r"(?:QRS[\s-]+)?(?:voltages?|(?:QRS\s+)?amplitudes?\s+QRS)|micro-?voltage"),
        ),
        said={"qrs low": None, "voltage low": None, "qrs_amplitude low": None},
        denied={**said("voltage", _NORMAL, "normal"), **said("qrs_amplitude", _NORMAL, "normal")},
        criteria=(Criterion("voltage", f"low voltage, code 9-1: QRS below {LOW_VOLTAGE_LIMB_MV} mV in I, II and III, or below {LOW_VOLTAGE_CHEST_MV} mV in V1 to V6", MINNESOTA),),
    ),
    Finding(
        "poor_r_progression", "Poor R progression.", "r_progression", wave="QRS", shown_in=("V1", "V2", "V3", "V4"), settled=True,
        words=(Words(r"(?:poor|reduced|delayed|abnormal|absent|missing|slow|late|loss\s+of)\s+(?:precordial\s+)?R" + f"(?:{WAVE})?" + r"(?:\s+precordial)?[\s-]+progression|PRWP\b|loss\s+of\s+R[\s-]?waves?"),),
        said=said("r_progression", ("abnormal", "poor", "slow", "prolonged", "low")),
    ),
    Finding(
        "r_progression", "Normal R progression.", "r_progression", wave="QRS", shown_in=("V1", "V2", "V3", "V4"),
        named=r"(?:precordial\s+)?R" + f"(?:{WAVE})?" + r"(?:\s+precordial)?[\s-]+progression",
        words=(Words(r"(?:normal|good|preserved|adequate|appropriate|physiologic(?:al)?)\s+(?:precordial\s+)?R" + f"(?:{WAVE})?" + r"(?:\s+precordial)?[\s-]+progression"),),
        said={**said("r_progression", _NORMAL, "normal"), **said("r_transition", _NORMAL, "normal")},
    ),
    Finding(
        "r_transition", "R/S transition in V4.", "r_transition", wave="QRS", shown_in=("V2", "V3", "V4", "V5"), named=_TRANSITION,
        words=(
            Words(r"(?:early|premature)\s+" + _TRANSITION, "early"), Words(r"(?:late|delayed)\s+" + _TRANSITION, "late"),
            Words(_TRANSITION + r"(?=(?:\s*[:=]|\s+(?:is|was|lies|occurs|occurring|seen|found|located|at|in|around|near|by|between|leads?|the))*\s+V[1-6])", None),
            Words(r"(?:R" + f"(?:{WAVE})?" + r"|it)\s+exceeds\s+(?:the\s+)?S" + f"(?:{WAVE})?" + r"(?=\s+from\s)", None),
        ),
        said={"r_transition slow": "late", "r_transition prolonged": "late"},
    ),
    Finding("wave_size", "The R wave is taller in V5 than in V4.", "wave_size", scope="leads"),
    Finding(
        "dominant_r", "Dominant R wave in V1.", "dominant_r", scope="leads", wave="QRS",
        words=(Words(r"(?:pre)?dominant\s+R" + f"(?:{WAVE})?" + r"(?!\w)|R\s?[/:]\s?S(?:[\s-]+ratio)?\s*(?:is\s+|of\s+)?(?:>|above|over|greater\s+than|more\s+than|exceed(?:s|ing)?)\s*1(?![\d.]*[1-9])"),),
    ),
)
_WAVES_IN_LEADS = (
    Finding("p_inversion", "The P wave is inverted in II.", "p_form", said=said("p", ("inverted",)), denied=("p upright",), scope="leads", wave="P"),
    Finding("p_tall", "The P wave is tall in II.", "p_form", said=said("p", ("tall",)), scope="leads", wave="P"),
    Finding("p_wide", "The P wave is broad in II.", "p_form", said=said("p", ("wide",)), scope="leads", wave="P"),
    Finding(
        "pathological_q", "Pathological Q waves in III.", "pathological_q", scope="leads", wave="Q", mentions=("pathological Q",),
        said=said("q", ("pathological", "abnormal", "wide")), denied=_denied("q", ("small", "low", "narrow", *_NORMAL)),
        criteria=(Criterion("QRS", f"pathological Q: {Q_DURATION_V2_V3_MS:.0f} ms or more (or QS) in V2 and V3; elsewhere {Q_DURATION_MS:.0f} ms or more and {Q_DEPTH_MV} mV or deeper (or QS) in two neighbouring leads", INFARCTION),),
    ),
    Finding(
        "qrs_pattern", "QS in V1.", "qrs_pattern", scope="leads", wave="QRS",
        words=(
            Words(r"(?:[rR][sS]|M-?shaped\s+[rR]?[sS]?)[rR]['’′](?!\w)", "rsR'", exact=True), Words(r"QS\b", "QS", exact=True), Words(r"qs[\s-]+(?:complex(?:es)?|waves?)", "QS"), Words(r"rS\b", "rS", exact=True),
            Words(r"qR\b", "qR", exact=True), Words(r"qRs\b", "qRs", exact=True), Words(r"Rs\b", "Rs", exact=True),
        ),
    ),
    Finding(
        "qrs_negative", "The QRS is predominantly negative in V1.", "qrs_negative", scope="leads", wave="QRS",
        words=(Words(r"(?:pre)?dominant\s+S" + f"(?:{WAVE})?" + r"(?!\w)|R\s?[/:]\s?S(?:[\s-]+ratio)?\s*(?:is\s+|of\s+)?(?:<|below|under|less\s+than)\s*1(?![\d.]*[1-9])"),),
        said=said("qrs", ("inverted",)), denied=("qrs upright",),
    ),
    Finding(
        "st_elevation", "ST elevation in V2.", "st_change", words=(Words(r"STE\b", exact=True),), said=said("st", ("elevated",)), unit="mV", scope="leads", wave="ST", mentions=("ST elevation",),
        criteria=(Criterion("ST", f"elevation at the J point in two neighbouring leads: {ST_ELEVATION_MV} mV or more; in V2 and V3 {ST_V2_V3_MEN_MV} mV (men from {YOUNG_MEN_BELOW_YEARS} years on), {ST_V2_V3_YOUNG_MEN_MV} mV (younger men), {ST_V2_V3_WOMEN_MV} mV (women)", INFARCTION),),
    ),
    Finding(
        "st_depression", "ST depression in V5.", "st_change", words=(Words(r"STD\b", exact=True),), said=said("st", ("depressed",)), unit="mV", scope="leads", wave="ST", mentions=("ST depression",),
        criteria=(
            Criterion("ST", f"depression: horizontal or falling, {ST_DEPRESSION_TWO_LEADS_MV} mV or more in two neighbouring leads", INFARCTION),
            Criterion("ST", "depression of 0.1 mV or more in six or more leads with elevation in aVR or V1: left main or several vessels", INFARCTION),
        ),
    ),
    Finding("st_deviation", "ST deviation in V5.", "st_deviation", said={"st deviation": None, "st abnormal": "abnormal"}, denied=_denied("st", ("isoelectric", "flat", *_NORMAL)), scope="leads", wave="ST"),
    Finding(
        "t_inversion", "T inversion in V4.", "t_wave", words=(Words(r"TWIs?\b", exact=True),), said=said("t", ("inverted",)), denied=("t upright",), unit="mV", scope="leads", wave="T", mentions=("T inversion",),
        criteria=(
            Criterion("T", f"ischaemic inversion: deeper than {-T_INVERTED_MV} mV in two neighbouring leads with a dominant R", INFARCTION),
            Criterion("T", f"inverted {T_INVERTED_MV} to {T_DEEP_MV} mV, deep to {T_GIANT_MV} mV, giant beyond; low below a tenth of the R", PART_4),
        ),
    ),
    Finding("t_flat", "Flat T waves in V5.", "t_wave", said=said("t", ("flat", "low")), unit="mV", scope="leads", wave="T"),
    Finding("t_tall", "Tall T waves in V3.", "t_wave", said=said("t", ("tall", "high")), unit="mV", scope="leads", wave="T"),
    Finding("t_abnormality", "T wave abnormalities in V5.", "t_wave", said={"t abnormal": "abnormal"}, denied=_denied("t", _NORMAL), scope="leads", wave="T", mentions=("T inversion",)),
    Finding("t_biphasic", "Biphasic T waves in V2.", NOT_MEASURED, said=said("t", ("biphasic",)), scope="leads", wave="T"),
    Finding("u_wave", "U waves in V3.", NOT_MEASURED, words=(Words(r"U" + WAVE),)),
)
_DIAGNOSES = (
    Finding(
        "infarction", "Inferior infarction.", "infarction", scope="walls", mentions=_INFARCT, settled=True, diagnosis="myocardial infarction", implies=("ischaemia",),
        words=(
            Words(r"(?:N?STEMI)\b|ST[\s-]*elevation\s+(?:myocardial\s+infarct(?:ion)?|MI\b)", "st"),
            Words(r"(?:myocardial\s+)?infarct(?:ion|s|ed)?\b|myocardial\s+(?:damage|necrosis|injury)|\bMI\b|(?:vorderwand|hinterwand|seitenwand|myokard)?infarkt\w*|myokard(?:skada|schaden|sch(?:ä|ae)digung)", None),
        ),
        criteria=(
            Criterion("R progression", "posterior infarction: R of 40 ms or more and R/S of 1 or more in V1 and V2 with upright T", INFARCTION),
            Criterion("ST", "site of an injury: II, III, aVF inferior; V1 to V4 anterior and septal; I, aVL, V5, V6 lateral", PART_6),
        ),
    ),
    Finding(
        "ischemia", "Inferior ischemia.", "infarction", scope="walls", mentions=("ST depression",), settled=True, diagnosis="ischaemia",
        words=(Words(r"(?:myocardial\s+|subendocardial\s+)?isch(?:a?e|ä)mi\w*(?:\s+changes)?|injury\s+(?:pattern|current)|subendocardial\s+injury|coronary\s+syndrome", None),),
    ),
    Finding("brugada_type_2", "Type 2 Brugada pattern.", NOT_MEASURED, words=(Words(r"type[\s-]*(?:2|3|II|III|two|three)\s+brugada(?:\s+(?:ECG\s+)?patterns?)?|brugada(?:\s+patterns?)?[\s,-]*type[\s-]*(?:2|3|II|III|two|three)(?:\s+(?:ECG\s+)?patterns?)?"),), scope="leads", wave="ST", shown_in=BRUGADA_LEADS, settled=True, diagnosis="Brugada pattern"),
    Finding(
        "brugada_type_1", "Brugada type 1 pattern in V1.", LeadRule(brugada_type_1_leads, measure="st_j", least=1), scope="leads", wave="ST", shown_in=BRUGADA_LEADS,
        salient="Brugada pattern", mentions=("ST elevation",), settled=True, diagnosis="Brugada pattern",
        words=(Words(r"(?:type[\s-]*(?:1|I|one)\s+)?brugada(?:\s+syndrome)?(?:[\s-]*type[\s-]*(?:1|I|one))?(?:\s+(?:ECG\s+)?(?:patterns?|signs?|morphology))?|coved(?:[\s-]+type)?\s+ST(?:[\s-]segments?)?(?:[\s-]+elevations?)?"),),
        criteria=(Criterion("ST", f"Brugada type 1: coved elevation of {BRUGADA_ST_MV} mV or more at the J point of V1 or V2 that falls into an inverted T", INHERITED),),
    ),
    Finding("pericarditis", "Pericarditis.", NOT_MEASURED, words=(Words(r"peri[ck]arditis"),), settled=True, diagnosis="pericarditis"),
    Finding("digitalis_effect", "Digitalis effect.", NOT_MEASURED, words=(Words(r"digitalis\w*(?:\s+effect)?|digoxin"),), settled=True, diagnosis="digitalis effect"),
    Finding(
        "electrolytes", "Hyperkalemia.", NOT_MEASURED, settled=True, diagnosis="electrolyte disturbance",
        words=(Words(r"hyper-?kal(?:a?e|ä)mi\w*|hypo-?kal(?:a?e|ä)mi\w*|hyper-?calc(?:a?e)mia|hypo-?calc(?:a?e)mia|electrolyte\s+\w+|elektrolyt\w*"),),
    ),
    Finding("pulmonary_embolism", "Pulmonary embolism.", NOT_MEASURED, words=(Words(r"pulmonary\s+embol\w+"),), settled=True, diagnosis="pulmonary embolism"),
    Finding("cardiomyopathy", "Cardiomyopathy.", NOT_MEASURED, words=(Words(r"cardiomyopathy|myocarditis"),), settled=True, diagnosis="cardiomyopathy"),
    Finding("aneurysm", "Ventricular aneurysm.", NOT_MEASURED, words=(Words(r"(?:(?:left\s+)?ventricular\s+|vorderwand)?aneurysma?"),), settled=True, diagnosis="ventricular aneurysm", implies=("myocardial infarction",)),
    Finding("early_repolarization", "Early repolarization.", NOT_MEASURED, words=(Words(r"early\s+repolari[sz]ation"),), settled=True),
    Finding("strain", "Strain pattern.", NOT_MEASURED, words=(Words(r"strain(?:\s+pattern)?"),), settled=True),
    Finding("long_qt", "Long QT syndrome.", "long_qt", words=(Words(r"long\s+QT(?:\s+syndrome)?|QT[\s-]?(?:verl[aä]ngerung|zeit\s+verl)\w*"),), wave="QT", mentions=_QT, settled=True, diagnosis="long QT"),
    Finding(
        "stt_changes", "Non-specific ST-T changes.", "stt_changes", scope="leads", settled=True,
        words=(Words(r"ST[\s/.-]*(?:and\s+|&\s*)?T[\s-]*(?:wave|segment)?s?\s+(?:changes?|abnormal(?:it(?:y|ies))?|alterations?|deviations?|lowering)|repol\s+abn\w+|repolari[sz]ation\s+(?:changes?|abnormalit(?:y|ies)|disturbances?)"),),
    ),
    Finding(
        "otherwise_normal_ecg", "Otherwise normal ECG.", NOT_MEASURED,
        words=(Words(r"otherwise\s+(?:a\s+)?(?:normal|unremarkable)(?:\s+" + RECORDING + r"|(?=\s*(?:[.;,\n]|$)))|" + RECORDING + r"\s+is\s+otherwise\s+(?:normal|unremarkable)|sonst\s+(?:normal(?:es)?|unauff[aä]lliges)\s+EKG"),),
    ),
    Finding("borderline_ecg", "Borderline ECG.", NOT_MEASURED, words=(Words(r"borderline\s+" + RECORDING),)),
    Finding(
        "normal_ecg", "Normal ECG.", "normal_ecg", wave="rhythm", settled=True, diagnosis="normal ECG", implies=("sinus rhythm",),
        words=(Words(r"normal(?=\s*:\s*(?:yes|no)\b)|(?:completely\s+|essentially\s+|entirely\s+)?(?:normal|unremarkable)\s+" + RECORDING + "|" + RECORDING + r"\s+(?:is|appears|looks)\s+(?:completely\s+|essentially\s+|entirely\s+|within\s+)?(?:normal|unremarkable)(?:\s+limits)?|(?:normales|unauff[aä]llig\w*)\s+EKG|" + RECORDING + r"\s+within\s+normal\s+limits"),),
    ),
)
# What quality is said of stands in front: the fewer letters a pattern can begin with, the faster it is passed over.
_OF_WHAT = r"(?:signal|technical|diagnostic|recording|tracing|trace|ECG|EKG|overall|data|lead)[\s-]+"
_QUALITY_ITSELF = r"(?<!image |photo |sleep )(?<!picture )(?<!scan |echo )quality\b(?!\s+(?:of\s+(?:the\s+)?(?:\w+\s+)?(?:life|sleep|care|evidence|images?|pictures?|photo\w*|scans?|print\w*)\b|(?:images?|pictures?|photo\w*|evidence|control|assurance|improvement|scans?)\b))"
_QUALITY = f"(?:{_OF_WHAT})?" * 2 + _QUALITY_ITSELF
_TRACING = r"(?:signals?|tracings?|recordings?|traces?)\b(?!\s+(?:quality|of\b|averag))"
_WANDERS = r"wander(?:s|ing)?|drift(?:s|ing)?|sway(?:s|ing)?|instability"
_DISTURBANCE = r"(?:noise|interference|hum|art[ei]facts?|disturbances?)"
# Kinds of disturbance cannot be told apart: these, and amounts of one, are never decided.
_RECORDING = (
    Finding(
        "signal_quality", "Poor signal quality in V1.", "signal_quality", scope="leads", wave="recording",
        named=_QUALITY_ITSELF + "|" + _OF_WHAT + f"(?:{_OF_WHAT})?" + _QUALITY_ITSELF,
        words=(
            Words(r"no\s+(?:(?:detectable|discernible|visible|measurable|recordable|ECG|electrical)\s+)?signals?\b(?!\s+(?:of|for|to|loss|quality|noise|drop|averag|art[ei]f|change|abnormal|disturb))|no\s+(?:trace|tracing|recording)s?(?=\s+(?:in|from|at|for)\s+(?:lead|V\d|aV|I))|without\s+(?:an?\s+|any\s+)?signal\b|(?:lost|absent|missing)\s+signal|signal\s+(?:loss|drop-?outs?|failure|(?:is\s+|was\s+)?(?:absent|missing|lost)\b)|loss\s+of\s+signal|absence\s+of\s+(?:a\s+)?signal|flat[\s-]?lin(?:e|es|ed|ing)\b|flat\s+(?:leads?|signals?|traces?|tracings?)\b|disconnected(?!\s+from)|unplugged|(?:leads?|electrodes?)[\s-]off\b", "no signal"),
            Words(r"no\s+(?:usable|useful|interpretable|readable)\s+signals?|un(?:readable|interpretable)\s+(?:ECG|EKG|leads?|" + _TRACING + ")", "unreadable"),
            Words(r"(?:moderate|fair|average|intermediate|mediocre|variable|limited\s+but\s+diagnostic)\s+" + _QUALITY, "moderate"),
            Words(r"(?:poor|bad|low|limited|reduced|inadequate|insufficient|suboptimal|sub-optimal|unsatisfactory|unacceptable|degraded|impaired|compromised|terrible)[\s-]+(?:" + _QUALITY + "|" + _TRACING + r")|technically\s+(?:limited|inadequate|poor|suboptimal|difficult|unsatisfactory)", "poor"),
            Words(r"(?:good|excellent|high|fine|adequate|acceptable|satisfactory|sufficient|reasonable|optimal|perfect|decent)[\s-]+(?:" + _QUALITY + "|" + _TRACING + r")|technically\s+(?:good|adequate|satisfactory|acceptable|sufficient)", "good"),
            Words(r"(?:minimal|little|negligible|hardly\s+any|low)\s+(?:(?:static|baseline|background|muscle)\s+)?(?:noise|wander|drift|interference|art[ei]facts?)\b(?!\s+(?:ratio|filter))", "little"),
            Words(r"(?:mains|(?:power[\s-]?)?line|AC|electrical|electromagnetic|alternating\s+current|[56]0[\s-]?Hz(?:\s+(?:mains|power[\s-]?line|AC))?)[\s-]+" + _DISTURBANCE + r"|interference\b(?!\s+dissociation)", "mains"),
            Words(r"(?:muscle|muscular|somatic|motion|movement|respiratory|breathing|EMG|electromyographic|myo\w+|tremor|shivering)[\s-]+" + _DISTURBANCE + r"|muscle\s+tremor|tremor\b|myopotentials?", "muscle"),
            Words(r"(?:loose|poor|bad|faulty|dislodged|detached)\s+(?:skin\s+|electrode\s+|lead\s+)*(?:electrodes?|contacts?|connections?)|electrode\s+(?:problems?|contact|art[ei]facts?|noise|movement)|electrodes\s+problems?", "electrode"),
            Words(r"burst\s+noise|bursts\s+of\s+noise", "burst"),
            Words(r"(?:noise|art[ei]fact)s?[\s-]+free|clean\s+(?:ECG|EKG|baseline|" + _TRACING + r")|undisturbed\s+(?:ECG|EKG|baseline|" + _TRACING + ")", "clean"),
            Words(r"(?:static|high-frequency|random)\s+noise\b|nois(?<!to[ -]nois)(?:e|y|iness)\b(?![\s-]+(?:like|free|ratio|filter|reduction|cancel|level))", "noise"),
            Words(r"baseline\s+(?:(?:is|was)\s+)?(?:" + _WANDERS + r")\b|(?:wandering|drifting|unstable|swaying)\s+baseline|(?:wander|drift)\b", "wander"),
            Words(r"(?:stable|steady)\s+baseline\b|baseline\s+(?:is|remains)\s+(?:stable|steady)\b", "steady"),
            Words(r"art[ei](?<!spike art.)(?<!pacemaker art.)(?<!stimulus art.)(?<!pacing art.)facts?\b", "artefact"),
            Words(r"amplifier\s+saturat(?:ed|ion)\b|satur(?<!oxygen satur)(?<!O2 satur)at(?:ed|ion)\b(?!\s*(?:of|is|was|:|=)?\s*\d)|clipped\b|clipping\b", "saturated"),
        ),
        said={**said("signal_quality", (*_NORMAL, "high"), "good"), **said("signal_quality", ("poor", "low", "abnormal"), "poor")},
    ),
    Finding(
        "recording_length", "The recording length is 10 s.", "recording_length", unit="ms", is_measure=True, wave="recording",
        named=r"(?:recording|tracing)\s+(?:length|duration|lasts)\b", words=(Words(r"cannot\s+be\s+read\s+as\s+an\s+ECG:\s+one\s+second\s+is\s+too\s+short", 1000.0),),
    ),
)
# fmt: on

FINDINGS: Final[tuple[Finding, ...]] = (
    *_MEASURES, *RHYTHM_AND_CONDUCTION, *_VOLTAGE_AND_ATRIA, *_WAVES_IN_LEADS, *_DIAGNOSES, *_RECORDING
)  # fmt: skip
BY_KIND: Final = {finding.kind: finding for finding in FINDINGS}

__all__ = ["BY_KIND", "FINDINGS", "RECORDING", "SINUS", "WAVE"]
