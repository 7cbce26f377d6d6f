# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The words of ECG texts as tokens: waves and intervals, qualities, diagnoses, negations, hedges, comparisons.

Every entry is (value, pattern). `VOCABULARY` lists them in the order in which they are tried at every word: phrases before
the words they contain. Patterns ignore case but for those in capitals: `T`, `Q`, `LAD` mean something only so.
"""

import re
from functools import cache
from typing import Any, NamedTuple

_WAVE = r"[\s-]?waves?"
_RECORDING = (
    r"(?:12-lead\s+|twelve-lead\s+|resting\s+)?(?:ECG|EKG|electrocardiogram|tracing)(?:\s+(?:tracing|recording))?"
)
_BUNDLE = r"[\s-]?bundle[\s-](?:branch[\s-])?block(?:age)?"

# Diagnoses and findings that are complete in themselves: (kind, value).
TERMS: tuple[tuple[tuple[str, Any], str], ...] = (
    (("rhythm", "sinus bradycardia"), r"sinus\s+brady(?:cardia|cardic)?"),
    (("rhythm", "sinus tachycardia"), r"sinus\s+tachy(?:cardia|cardic)?"),
    (("rhythm", "sinus arrhythmia"), r"(?:respiratory\s+)?sinus\s+arrhythmia"),
    (("pause", True), r"sinus\s+(?:pauses?|arrest)|(?<!compensatory )pauses?|sino-?atrial\s+block"),
    (("rhythm", "sinus rhythm"), r"(?:normal\s+)?sinus(?:\s*rhythm|\s+mechanism|\s+origin)|sinus\s+node\s+rhythm|in\s+sinus\b(?!\s+[a-z])"),
    (("rhythm", "atrial fibrillation"), r"atrial\s+fib(?:rillation)?|auricular\s+fibrillation|a-?fib\b|fibrillat(?:ion|ory|ing)(?:\s+waves)?"),
    (("rhythm", "atrial flutter"), r"(?:atrial\s+)?flutter(?:\s+waves)?|saw-?tooth(?:ed)?(?:\s+\w+)?\s+waves|saw-?tooth\s+pattern"),
    (("rhythm", "supraventricular tachycardia"), r"(?:paroxysmal\s+)?supraventricular\s+tachycardia|AV\s*N?RT\b|P?SVT\b"),
    (("rhythm", "ventricular tachycardia"), r"ventricular\s+tachycardia"),
    (("rhythm", "junctional rhythm"), r"(?:AV[\s-]?)?(?:junctional|nodal)\s+(?:escape\s+)?(?:rhythm|bradycardia|tachycardia)"),
    (("rhythm", "paced rhythm"), r"(?:ventricular(?:ly)?|atrial(?:ly)?|dual[\s-]chamber|electronic(?:ally)?|artificially)?[\s-]*(?:paced|pacemaker)\s+(?:rhythm|beats?|complexes)|(?:(?:ventricular|atrial)\s+)?pacing(?:\s+(?:spikes?|artefacts?|artifacts?))?|pacemaker\s+spikes?"),
    (("bigeminy", True), r"(?:ventricular\s+)?bigemin(?:y|us|al)"),
    (("ventricular_ectopy", True), r"(?:premature\s+ventricular|ventricular\s+(?:premature|extra|ectopic))[\s-]*(?:complex(?:es)?|contractions?|beats?|systoles?|depolari[sz]ations?|ectopics?)|ventricular\s+(?:ectopy|extrasystoles?)|PVCs?\b|VPCs?\b|VEBs?\b"),
    (("atrial_ectopy", True), r"(?:premature\s+(?:atrial|supraventricular)|(?:supraventricular|atrial)\s+(?:premature|extra|ectopic))[\s-]*(?:complex(?:es)?|contractions?|beats?|systoles?|depolari[sz]ations?)|(?:supraventricular|atrial)\s+(?:ectopy|extrasystoles?)|PACs?\b|APCs?\b"),
    (("ectopy", True), r"ectop(?:y|ic\s+beats?)|premature(?:ly)?(?:\s+(?:beats?|complexes|contractions))?|extrasystoles?"),
    (("pre_excitation", True), r"wolff[\s-]*parkinson[\s-]*white(?:\s+(?:pattern|syndrome))?|WPW\b|(?:ventricular\s+)?pre-?excitation|delta[\s-]?waves?"),
    (("lafb", True), r"left\s+anterior\s+(?:fascicular|hemi)[\s-]*block|LAFB\b|LAHB\b"),
    (("lpfb", True), r"left\s+posterior\s+(?:fascicular|hemi)[\s-]*block|LPFB\b|LPHB\b"),
    (("incomplete_rbbb", True), r"(?:incomplete|partial)\s+(?:right" + _BUNDLE + r"|RBBB)\b|I-?RBBB\b"),
    (("incomplete_lbbb", True), r"(?:incomplete|partial)\s+(?:left" + _BUNDLE + r"|LBBB)\b|I-?LBBB\b"),
    (("rbbb", True), r"(?:complete\s+)?(?:right" + _BUNDLE + r"|RBBB)\b|CRBBB\b"),
    (("lbbb", True), r"(?:complete\s+)?(?:left" + _BUNDLE + r"|LBBB)\b|CLBBB\b"),
    (("bundle_branch_block", True), r"bundle[\s-]branch[\s-]blocks?|BBB\b"),
    (("ivcd", True), r"(?:non-?\s?specific\s+)?intra-?ventricular\s+conduction\s+(?:delay|disturbance|defect|block)|IVCD\b"),
    (("av_block", 1), r"(?:first|1st|1)[\s-]*degree\s+(?:AV|A-V|atrio-?ventricular|heart)?[\s-]*block|1[°º]\s*AV[\s-]*block|I[\s-]*AVB\b|AVB?\s*(?:I|1)\b(?!\s*I)|(?:AV|A-V|atrio-?ventricular)[\s-]*block,?\s*(?:of\s+(?:the\s+)?)?(?:first|1st|I|1)(?:[\s-]*degree|°)?(?![\w:°])"),
    (("av_block", 2), r"(?:second|2nd|2)[\s-]*degree\s+(?:AV|A-V|atrio-?ventricular|heart)?[\s-]*block(?:\s*,?\s*\(?(?:mobitz|type)(?:\s+type)?\s+(?:II|I|1|2)\)?)?|(?:mobitz|wenckebach)(?:\s+(?:type\s+)?(?:II|I|1|2))?(?:\s+(?:AV\s+)?block)?|2[°º]\s*AV[\s-]*block"),
    (("av_block", 3), r"(?:third|3rd|3)[\s-]*degree\s+(?:AV|A-V|atrio-?ventricular|heart)?[\s-]*block|complete\s+(?:AV|A-V|atrio-?ventricular|heart)[\s-]*block|(?:AV|atrio-?ventricular)\s+dissociation|3[°º]\s*AV[\s-]*block"),
    (("av_block", None), r"(?:AV|A-V|atrio-?ventricular)[\s-]*(?:conduction\s+)?block"),
    (("rvh", True), r"right\s+ventricular\s+(?:hypertrophy|enlargement)|RVH\b"),
    (("lvh", True), r"left\s+ventricular\s+(?:hypertrophy|enlargement)|LVH\b(?!\s+(?:index|score))|(?:high|increased|large)\s+(?:QRS\s+)?voltages?"),
    (("biatrial", True), r"bi-?atrial\s+enlargement"),
    (("lae", True), r"left\s+atrial\s+(?:enlargement|abnormality|overload|hypertrophy|dilatation|dilation)|p\s+mitrale|LAE\b"),
    (("rae", True), r"right\s+atrial\s+(?:enlargement|abnormality|overload|hypertrophy|dilatation|dilation)|p\s+pulmonale|RAE\b"),
    (("low_voltage", True), r"(?:low|reduced|diminished|small)[\s-]+(?:(?:limb|chest|precordial)[\s-]+leads?[\s-]+)?(?:QRS[\s-]+)?(?:voltages?|(?:QRS\s+)?amplitudes?\s+QRS)|micro-?voltage"),
    (("poor_r_progression", True), r"(?:poor|reduced|delayed|abnormal|absent|slow|late|loss\s+of)\s+(?:precordial\s+)?R" + f"(?:{_WAVE})?" + r"(?:\s+precordial)?[\s-]+progression|PRWP\b|loss\s+of\s+R[\s-]?waves?"),
    (("r_progression", True), r"(?:normal|good|preserved|adequate|appropriate|physiologic(?:al)?)\s+(?:precordial\s+)?R" + f"(?:{_WAVE})?" + r"(?:\s+precordial)?[\s-]+progression"),
    (("infarction", "st"), r"(?:N?STEMI)\b|ST[\s-]*elevation\s+(?:myocardial\s+infarct(?:ion)?|MI\b)"),
    (("infarction", None), r"(?:myocardial\s+)?infarct(?:ion|s|ed)?\b|myocardial\s+(?:damage|necrosis)|\bMI\b"),
    (("ischemia", None), r"(?:myocardial\s+|subendocardial\s+)?isch(?:a?e)mi(?:a|c)(?:\s+changes)?|injury\s+(?:pattern|current)|subendocardial\s+injury|coronary\s+syndrome"),
    (("pericarditis", True), r"pericarditis"),
    (("electrolytes", True), r"hyper-?kal(?:a?e)mia|hypo-?kal(?:a?e)mia|hyper-?calc(?:a?e)mia|hypo-?calc(?:a?e)mia|electrolyte\s+\w+|digitalis\s+effect"),
    (("early_repolarization", True), r"early\s+repolari[sz]ation"),
    (("strain", True), r"strain(?:\s+pattern)?"),
    (("long_qt", True), r"long\s+QT(?:\s+syndrome)?"),
    (("stt_changes", True), r"ST[\s/.-]*(?:and\s+|&\s*)?T[\s-]*(?:wave|segment)?s?\s+(?:changes?|abnormalit(?:y|ies)|alterations?|deviations?)|repolari[sz]ation\s+(?:changes?|abnormalit(?:y|ies)|disturbances?)"),
    (("u_wave", True), r"U" + _WAVE),
    (("otherwise_normal_ecg", True), r"otherwise\s+(?:a\s+)?(?:normal|unremarkable)\s+" + _RECORDING + "|" + _RECORDING + r"\s+is\s+otherwise\s+(?:normal|unremarkable)"),
    (("abnormal_ecg", True), r"abnormal\s+" + _RECORDING + "|" + _RECORDING + r"\s+is\s+(?:clearly\s+)?abnormal"),
    (("borderline_ecg", True), r"borderline\s+" + _RECORDING),
    (("normal_ecg", True), r"(?:completely\s+|essentially\s+|entirely\s+)?(?:normal|unremarkable)\s+" + _RECORDING + "|" + _RECORDING + r"\s+(?:is|appears|looks)\s+(?:completely\s+|essentially\s+|entirely\s+|within\s+)?(?:normal|unremarkable)(?:\s+limits)?"),
    (("qrs_duration", "narrow"), r"narrow[\s-]+complex(?!es)"),
    (("qrs_duration", "wide"), r"(?:wide|broad)[\s-]+complex(?!es)"),
    (("heart_rate", "bradycardia"), r"brady(?:cardia|cardic|arrhythmia)"),
    (("heart_rate", "tachycardia"), r"tachy(?:cardia|cardic|arrhythmia)"),
    (("qrs_axis", "extreme"), r"(?:extreme|northwest(?:ern)?|no\s+man'?s\s+land)\s+(?:right\s+|left\s+)?(?:QRS\s+)?axis(?:\s+deviation)?|axis\s+is\s+extreme"),
    (("qrs_axis", "left"), r"(?:marked\s+|mild\s+|slight\s+)?left(?:ward)?[\s-]+(?:(?:QRS|electrical)\s+)?axis(?:[\s-]+(?:deviation|shift))?|left(?:ward)?\s+(?:deviation|shift)|(?:deviate[sd]|shifted|shift|deviation)\s+(?:\w+\s+)?to(?:wards?)?\s+the\s+left|leftwards?|horizontal\s+axis"),
    (("qrs_axis", "right"), r"(?:marked\s+|mild\s+|slight\s+)?right(?:ward)?[\s-]+(?:(?:QRS|electrical)\s+)?axis(?:[\s-]+(?:deviation|shift))?|right(?:ward)?\s+(?:deviation|shift)|(?:deviate[sd]|shifted|shift|deviation)\s+(?:\w+\s+)?to(?:wards?)?\s+the\s+right|rightwards?"),
    (("qrs_axis", "deviated"), r"axis\s+deviation"),
)  # fmt: skip

TERMS_IN_CAPITALS: tuple[tuple[tuple[str, Any], str], ...] = (
    (("rhythm", "atrial fibrillation"), r"AF(?:IB)?\b"),
    (("rhythm", "atrial flutter"), r"AFL(?:T)?\b"),
    (("rhythm", "atrial fibrillation"), r"f[\s-]?waves"),
    (("rhythm", "atrial flutter"), r"F[\s-]?waves"),
    (("rhythm", "sinus rhythm"), r"N?SR\b"),
    (("rhythm", "ventricular tachycardia"), r"VT\b"),
    (("qrs_axis", "left"), r"LAD\b(?!\s+(?:territory|occlusion|artery|lesion|stenosis|disease|infarct))"),
    (("qrs_axis", "right"), r"RAD\b"),
    (("t_inversion", True), r"TWIs?\b"),
    (("st_elevation", True), r"STE\b"),
    (("st_depression", True), r"STD\b"),
    (("qrs_pattern", "rsR'"), r"(?:[rR][sS]|M-?shaped\s+[rR]?[sS]?)[rR]['’′](?!\w)"),
    (("qrs_pattern", "QS"), r"QS\b"),
    (("qrs_pattern", "rS"), r"rS\b"),
    (("qrs_pattern", "qR"), r"qR\b"),
    (("qrs_pattern", "qRs"), r"qRs\b"),
    (("qrs_pattern", "Rs"), r"Rs\b"),
)

# What is measured.
SUBJECTS: tuple[tuple[str, str], ...] = (
    ("atrial_rate", r"atrial\s+rate"),
    ("heart_rate", r"(?:(?:mean|average|overall|resting|ventricular|heart|pulse|cardiac|sinus)\s+)*(?:rates?(?!-)|frequency|ventricular\s+response)\b|ventricular\s+response"),
    ("axes", r"P-(?:R|QRS)-T\s+ax[ei]s"),
    ("heart_rate", r"HR\b"),
    ("p_axis", r"P(?:[\s-]?wave)?\s+axis"),
    ("t_axis", r"T(?:[\s-]?wave)?\s+axis"),
    ("qrs_axis", r"(?:(?:mean|frontal(?:[\s-]plane)?|electrical|cardiac|heart|ventricular|QRS)[\s-]+)*axis|(?:(?:mean|frontal)\s+)*QRS\s+vector"),
    ("rr_interval", r"R\s?-?\s?R\b(?:[\s-]*intervals?)?|interbeat\s+intervals?"),
    ("pr_segment", r"P-?R[\s-]*segments?"),
    ("p_duration", r"P(?:[\s-]?wave)?(?:'s)?\s+(?:duration|width)"),
    ("p_amplitude", r"P(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|height|voltage)s?"),
    ("pr_interval", r"P\s?-?\s?[RQ]\b(?:[\s-]*(?:intervals?|times?|durations?|conduction))?|(?:AV|A-V|atrio-?ventricular)\s+conduction(?:\s+time)?"),
    ("qtc_fridericia", r"QT\s?-?cF\b(?:[\s-]*(?:intervals?))?"),
    ("qtc_bazett", r"QT\s?-?cB\b(?:[\s-]*(?:intervals?))?"),
    ("qtc_interval", r"QT\s?-?c\b(?:[\s-]*(?:intervals?|durations?|values?))?|(?:rate[\s-]?)?corrected\s+QT(?:\s?-?c)?\b(?:[\s-]*intervals?)?|QT\s+corrected"),
    ("qt_interval", r"QT\b(?:[\s-]*(?:intervals?|durations?|times?))?"),
    ("qrs_amplitude", r"QRS(?:[\s-]complex(?:es)?)?(?:'s)?\s+(?:amplitude|voltage|height|size)s?"),
    ("qrs_duration", r"QRS(?:[\s-]complex(?:es)?)?(?:'s)?[\s-]+(?:duration|width|interval|time)s?|intra-?ventricular\s+conduction"),
    ("conduction", r"conduction(?!\s+intervals)"),
    ("baseline", r"baseline"),
    ("qrs", r"QRS(?:[\s-]*complex(?:es)?)?(?:es)?\b|QRSd\b|ventricular\s+complex(?:es)?|complexes"),
    ("r_progression", r"(?:precordial\s+)?R" + f"(?:{_WAVE})?" + r"(?:\s+precordial)?[\s-]+progression"),
    ("r_transition", r"(?:(?:precordial|R\s?/\s?S|R-S|R[\s-]?wave|QRS)\s+)?transition(?:\s+(?:zone|point|lead))?"),
    ("sokolow_lyon", r"(?:the\s+)?(?:sum\s+of\s+)?S\s?-?(?:in\s+)?V1\s*(?:\+|and|plus)\s*R\s?-?(?:in\s+)?V[56]\b|Sokolow(?:\s?[-/]?\s?Lyon)?(?:\s+(?:index|voltage|criteri(?:on|a)|sum|value|score))*"),
    ("cornell", r"Cornell(?:\s+(?:index|voltage|criteri(?:on|a)|sum|value|score))*"),
    ("t_amplitude", r"T(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|height|voltage)s?"),
    ("t_duration", r"T(?:[\s-]?wave)?(?:'s)?\s+(?:duration|width)s?"),
    ("r_amplitude", r"R(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|height|voltage)s?"),
    ("s_amplitude", r"S(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|depth|voltage)s?"),
    ("q_duration", r"Q(?:[\s-]?wave)?(?:'s)?\s+(?:duration|width)s?"),
    ("q_amplitude", r"Q(?:[\s-]?wave)?(?:'s)?\s+(?:amplitude|depth)s?"),
    ("st_duration", r"ST(?:[\s-]segment)?\s+duration"),
    ("st", r"S\s?-?T\b(?:[\s-]*(?:segments?))?(?:\s+levels?)?(?!\s*-\s*T)|J[\s-]?points?"),
    ("p", r"P" + _WAVE + r"|Ps\b|atrial\s+activity"),
    ("q", r"Q" + _WAVE),
    ("t", r"T" + _WAVE),
    ("r", r"R" + _WAVE),
    ("s", r"S" + _WAVE),
    ("voltage", r"(?:QRS\s+)?voltages?"),
    ("rhythm", r"(?:cardiac\s+|heart\s+|ventricular\s+|underlying\s+)?rhythm|heartbeats?|R-?waves?\s+spacing"),
    ("intervals", r"(?:conduction\s+|basic\s+)?intervals"),
    ("interval", r"interval"),
)  # fmt: skip
SUBJECTS_IN_CAPITALS: tuple[tuple[str, str], ...] = (
    ("p", r"P\b(?!\s*[=<>]?\s*0?\.\d)"),
    ("q", r"Q(?:'?s)?\b"),
    ("t", r"T(?:'?s)?\b"),
    ("r", r"R\b"),
    ("s", r"S\b"),
)

_THAN_NORMAL = r"\s+than\s+(?:the\s+|is\s+)?(?:normal|usual|expected)(?:\s+(?:range|limit|value)s?)?"
_NORMAL_LIMIT = (
    r"\s+(?:the\s+)?(?:(?:upper|lower)\s+)?(?:limits?\s+of\s+normal|normal(?:\s+(?:range|limits?|values?))?)"
)
COMPARED_QUALITIES: tuple[tuple[str, str], ...] = (
    ("high", r"(?:above|over|exceed(?:s|ing|ed)?|beyond)" + _NORMAL_LIMIT),
    ("low", r"below" + _NORMAL_LIMIT),
    ("fast", r"(?:faster|quicker)" + _THAN_NORMAL),
    ("slow", r"slower" + _THAN_NORMAL),
    ("prolonged", r"longer" + _THAN_NORMAL),
    ("short", r"shorter" + _THAN_NORMAL),
    ("wide", r"(?:wider|broader)" + _THAN_NORMAL),
)  # fmt: skip
QUALITY_PHRASES: tuple[tuple[str, str], ...] = (
    ("isoelectric", r"iso-?electric|(?:at|on|near|returns?\s+to)\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)|iso-?electrical|neutral"),
    ("normal_range", r"(?:(?:falls?|lies?|is|are|stays?|remains?)\s+)?(?:with)?in(?:side)?\s+(?:the\s+)?(?:normal|reference|physiologic(?:al)?|expected)\s+(?:limits?|ranges?|values?|bounds|intervals?)|within\s+limits|WNL\b|in\s+range\b"),
    ("small", r"(?:small|tiny|septal|narrow|physiologic(?:al)?|non-?pathologic(?:al)?|insignificant)\s+(?=q\b|q[\s-]?waves?)|non-?pathologic(?:al)?"),
    ("elevated", r"↑|displaced\s+upwards?|upwards?\s+displacement|elevat(?:ed|ions?|es?)|raised|(?:lies?|sits?|is|are|rises?)\s+above\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)|above\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)"),
    ("depressed", r"↓|displaced\s+downwards?|downwards?\s+displacement|depress(?:ed|ions?)|lowered|sagging|below\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)|sunken"),
)  # fmt: skip
QUALITIES: tuple[tuple[str, str], ...] = (
    ("inverted", r"(?:point(?:ing|s|ed)?|direct(?:ed)?|deflect(?:ed|ing)?)\s+down(?:wards?)?|down-?going|downward\s+(?:pointing|deflect(?:ed|ion)s?)|invert(?:ed)?\b|inversions?|negative(?:ly)?(?!\s+for)|upside[\s-]down|flipped"),
    ("flat", r"flat(?:tened|tening|tish)?|low[\s-]amplitude|blunted"),
    ("tall", r"tall|peaked|hyper-?acute|giant|prominent|tented"),
    ("biphasic", r"bi-?phasic|notched"),
    ("upright", r"upright|positive|(?:point(?:ing|s|ed)?|direct(?:ed)?|deflect(?:ed|ing)?)\s+up(?:wards?)?"),
    ("pathological", r"pathologic(?:al)?(?:ly)?|(?:deep|wide|broad|significant|abnormal|prominent)\s+(?:and\s+\w+\s+)?(?=q\b|q[\s-]?waves?|qs\b)"),
    ("prolonged", r"prolong(?:ed|ation|s)?|(?:abnormally|too)\s+long|long\b|lengthened|delayed"),
    ("short", r"short(?:ened|ening)?\b"),
    ("wide", r"wide(?:ned|ning)?\b|broad(?:ened|ening)?\b"),
    ("narrow", r"narrow\b"),
    ("irregular", r"irregularly[\s-]+irregular|irregular(?:ly|ity|ities)?|(?:highly\s+)?variable|vary\b|varies\b|unevenly\s+spaced|uneven|varying|chaotic"),
    ("regular", r"regular(?:ly|ity)?(?:[\s-]+spaced)?|evenly\s+spaced|constant|equidistant|steady|uniform"),
    ("slow", r"slow(?:ed)?\b"),
    ("fast", r"fast\b|rapid|accelerated"),
    ("poor", r"poor(?:ly)?|reduced|attenuated"),
    ("low", r"low\b|small\b|diminished"),
    ("high", r"high\b|increased|large\b|greater\s+than\s+normal"),
    ("abnormal", r"abnormal(?:ly|it(?:y|ies))?|changes?\b|alterations?"),
    ("deviation", r"deviat(?:ions?|ed)|displace(?:ments?|d)|shifts?\b"),
    ("normal", r"normal(?:ly)?\b|unremarkable|preserved|physiologic(?:al)?|good\b|adequate"),
)  # fmt: skip

NEGATION_PHRASES: tuple[tuple[str, str], ...] = (
    ("hedge", r"(?:cannot|can\s?not|can't|could\s+not|not)\s+(?:be\s+)?(?:exclude|rule[ds]?\s+out|excluded|completely\s+exclude)d?"),
    ("skip", r"not\s+(?:only|necessarily|just)|no\s+(?:doubt|prior|previous|comparison)|no\s+longer|(?:to|should)\s+(?:exclude|rule\s+out)"),
    ("unmeasured", r"(?:not|cannot\s+be|can't\s+be|could\s+not\s+be)\s+(?:reliably\s+|accurately\s+)?(?:measurable|measured|assessed|determined|assessable|calculated|available|reported|applicable)|unmeasurable|indeterminate|undetermined|n/a\b"),
    ("after", r"(?:not|n't|cannot\s+be|never)\s+(?:clearly\s+|readily\s+|reliably\s+|be\s+)?(?:seen|present|visible|observed|evident|identified|identifiable|noted|detected|discernible|appreciated|found|diagnosed|confirmed|established|recogni[sz]able|there|apparent|visuali[sz]ed|demonstrated)|(?:is|are|were|was)\s+(?:ruled\s+out|excluded|missing|lacking|not\s+a\s+feature)|undetectable|invisible|(?:is\s+|are\s+|very\s+|highly\s+)?(?:unlikely|improbable)|nowhere\s+(?:to\s+be\s+)?(?:seen|found|visible)"),
    ("after", r"(?:(?:do|does|did)\s+not|don't|doesn't|never|fails?\s+to)\s+(?:appear|occur|exist|arise)|(?:not|never)\s+(?:clearly\s+|fully\s+)?(?:met|fulfilled|satisfied|reached|given)"),
)  # fmt: skip
NEGATIONS: tuple[tuple[str, str], ...] = (
    ("absent", r"absent|missing|none(?!\s+of)|nil"),
    ("before", r"(?:no|rather\s+than|instead\s+of|as\s+opposed\s+to|nowhere(?:\s+is\s+there)?|without|lacks?|lacking|absence\s+of|lack\s+of|free\s+(?:of|from)|neither|nor|negative\s+for|devoid\s+of|(?:argu(?:es?|ing)\s+|speak(?:s|ing)?\s+)?against|rul(?:es?|ing)\s+out|excludes?|never|none\s+of|nothing\s+to\s+suggest|not|fails?\s+to\s+show|do(?:es)?\s+not\s+(?:show|have|demonstrate|reveal|display|exhibit|meet)|isn't|aren't|wasn't|doesn't|don't|non(?![\s-]*(?:specific|diagnostic|sustained|conducted|transmural|Q[\s-]wave)))\b(?:\s+(?:any|clear|definite|obvious|convincing|sign(?:s)?\s+of|evidence\s+(?:of|for)|indication\s+of|suggestion\s+of|features\s+of|criteria\s+for))*"),
)  # fmt: skip
HEDGES = r"possibl[ey]|probabl[ey]|likely|may\b|might|could|suspected|suspicio(?:us|n)(?:\s+of|\s+for)?|suggest(?:s|ed|ing|ive)?(?:\s+of)?|consistent\s+with|compatible\s+with|in\s+keeping\s+with|suspect|consider|questionable|borderline|equivocal|perhaps|appears?(?:\s+to\s+be)?|seems?(?:\s+to\s+be)?|points?\s+to(?:wards?)?|indicat(?:es?|ing|ive)(?:\s+of)?|raises?\s+(?:the\s+)?(?:possibility|concern|suspicion)|potential(?:ly)?"
# Statements about ECGs in general or other recordings, not about this one: the whole clause, or what follows.
GENERAL_CLAUSE = r"(?:causes?|reasons?|a?etiology|significance|age)\s+of|defined\s+as|(?:is|are)\s+(?:generally\s+|usually\s+|typically\s+)?considered|values?\s+(?:above|below|over|under|greater|less)|criteri(?:on|a)\s+(?:require|(?:is|are)\s+(?!not|met|ful|pos|neg|sat|pre|abs))"
GENERAL_AFTER = r"if\b|would\b|should\b|typically|usually|generally|unless|(?:previous|prior|earlier|old)\s+(?:ECG|EKG|tracing|recording)s?|compared\s+(?:with|to)|history\s+of|recommend(?:ed|s)?|monitor(?:ing)?\b|when\s+the|(?:need|advised?)\s+to"
REFERENCE = r"normal\s+(?:adult\s+)?(?:range|limit|value)s?|normal\s+intervals?(?=\s*(?:is|are|of|:|\()?\s*[\d<>≤≥])|normally|(?:reference|ref\.?|expected|typical|usual|physiologic(?:al)?)\s*(?:ranges?|values?|limits?|intervals?)?(?:\s+of)?(?=[\s:(]*[\d<>≤≥])|(?:upper|lower)\s+(?:normal\s+)?(?:limit|bound)(?:\s+of\s+normal)?|limit(?:\s+of\s+normal)?|threshold|cut-?off|criterion|criteria|ULN\b|LLN\b"
NORMAL_VARIANT = r"(?:can|may)\s+be\s+(?:a\s+)?normal|normal\s+(?:variants?|findings?)|variants?\s+of\s+(?:the\s+)?normal"  # says of what stands before that it is harmless
COMPARATOR_PHRASES: tuple[tuple[str, str], ...] = (
    ("not_more", r"(?:no|not)\s+(?:more|greater|longer|higher)\s+than|not\s+(?:above|over|beyond|>)|not\s+exceed(?:ing)?|does\s+not\s+exceed|at\s+most|(?:up\s+to\s+)?a\s+maximum\s+of|<=|≤|=<"),
    ("not_less", r"(?:no|not)\s+(?:less|lower|shorter)\s+than|not\s+(?:below|under|<)|at\s+least|(?:a\s+)?minimum\s+of|>=|≥|=>"),
    ("max", r"up\s+to|down\s+to|maximal(?:ly)?|maximum|peak(?:ing)?\s+(?:at|of)|max\b|as\s+(?:much|high|low|deep)\s+as|reaching|deepest|most\s+(?:marked|pronounced)(?:\s+in)?"),
)  # fmt: skip
COMPARATORS: tuple[tuple[str, str], ...] = (
    (">", r">|(?:greater|more|longer|higher|larger|wider)\s+than|exceed(?:s|ing|ed)?|above|over\b|beyond|in\s+excess\s+of|surpass(?:es|ing)?"),
    ("<", r"<|(?:less|shorter|lower|smaller|fewer|narrower)\s+than|below|under\b|short\s+of"),
    ("~", r"~|≈|≃|approximately|approx\.?|about|around|roughly|nearly|almost|close\s+to|circa|ca\.|some\b|or\s+so|near(?=\s+\d)|in\s+the\s+region\s+of|on\s+the\s+order\s+of"),
    ("between", r"between|ranging\s+(?:from|between)|ranges?\s+(?:from|between)|from(?=\s+-?\d)|var(?:ies|ying)\s+(?:from|between)"),
)  # fmt: skip
VERBS = r"shows?|showing|demonstrat(?:es?|ing)|exhibits?|displays?|reveals?|ha(?:s|ve)\b|presents?\s+with|manifests?|features?\b|there\s+(?:is|are)|contains?"
BE = r"(?:is|are|was|were|remains?|being|measur(?:es|ed|ing)|=)(?!\w)"
PRESENT = r"present|visible|seen|observed|evident|noted|identif(?:ied|iable)|detected|discernible|clear(?:ly)?|apparent|found|followed\s+by|preced(?:es?|ing|ed)|(?:in\s+front\s+of|before|for)\s+(?:each|every)(?:\s+QRS(?:\s+complex)?)?"
BREAKS = r"but\b|however|whereas|while\b|although|though\b|yet\b|on\s+the\s+other\s+hand|in\s+contrast|nevertheless|instead\b"
CALIBRATION = r"\d+(?:\.\d+)?\s*mm\s*/\s*(?:s(?:ec(?:ond)?)?|mV)\b|\d+(?:\.\d+)?\s*Hz\b|(?:12|twelve)[\s-]*leads?(?:\s+(?:ECG|EKG))?|\d+[\s-]*(?:year|yr)s?(?:[\s-]*old)?|\d+(?:\.\d+)?\s*%|\d\s*:\s*\d(?:\s+(?:AV\s+)?(?:conduction|block))?|\d+(?:\.\d+)?\s*-?\s*s(?:ec(?:ond)?s?)?\s+(?:rhythm\s+)?(?:strip|recording|tracing|rhythm|ECG)|\d{4}-\d\d-\d\d"
OTHER_WORDS: tuple[tuple[str, str], ...] = (
    ("hedge", HEDGES),
    ("break", BREAKS),
    ("with", r"with|along\s+with|accompanied\s+by"),
    ("except", r"except(?:ing|\s+for|\s+in)*|apart\s+from|other\s+than|excluding|but\s+not"),
    ("respectively", r"respectively"),
    ("of", r"of"),
    ("in", r"in|across|over|at|within|throughout|involving"),
    ("be", BE),
    ("verb", VERBS),
    ("present", PRESENT),
    ("and", r"and|&|plus|as\s+well\s+as"),
    ("or", r"or"),
    ("it", r"it|this|they|these|which|that"),
)
FORMULAS = (("bazett", r"bazett(?:'s)?"), ("fridericia", r"fridericia(?:'s)?"))


def _entries(tag: str, table: tuple, capitals: bool = False) -> list[tuple[str, Any, str]]:
    return [(tag, value, pattern if capitals else f"(?i:{pattern})") for value, pattern in table]


# (tag, value, pattern)
VOCABULARY: list[tuple[str, Any, str]] = [
    *_entries("skip", ((None, NORMAL_VARIANT),)),
    *_entries("qual", COMPARED_QUALITIES),
    *_entries("neg", NEGATION_PHRASES),
    *_entries("cmp", COMPARATOR_PHRASES),
    *_entries("qual", QUALITY_PHRASES),
    *_entries("general", (("clause", GENERAL_CLAUSE), ("after", GENERAL_AFTER))),
    *_entries("ref", ((None, REFERENCE),)),
    *_entries("neg", NEGATIONS),
    *_entries("term", TERMS),
    *_entries("term", TERMS_IN_CAPITALS, capitals=True),
    *_entries("subj", SUBJECTS),
    *_entries("subj", SUBJECTS_IN_CAPITALS, capitals=True),
    *_entries("cmp", COMPARATORS),
    *_entries("qual", QUALITIES),
    *_entries("formula", FORMULAS),
    *((tag, None, f"(?i:{pattern})") for tag, pattern in OTHER_WORDS),
]


class Token(NamedTuple):
    """A word or phrase: its `tag`, its meaning, and its characters `start`..`end` in the text."""

    tag: str
    value: Any
    start: int
    end: int


_WORD_END = r"(?![A-Za-z])"
_CALIBRATION = re.compile(f"(?i:{CALIBRATION}){_WORD_END}")


@cache
def _patterns_from(letter: str) -> re.Pattern[str]:
    """All of the vocabulary that can begin with a character; a fraction of it, so that a match is fast."""
    groups = [
        f"(?P<g{i}>(?:{pattern}){_WORD_END})"
        for i, (_, _, pattern) in enumerate(VOCABULARY)
        if letter.lower() in (first := _first_letters(pattern)) or "" in first
    ]
    return re.compile("|".join(groups) or r"(?!)")


@cache
def _first_letters(pattern: str) -> frozenset[str]:
    """The characters, in small letters, that a match can begin with; `""` where that is not a plain letter or sign."""
    letters: set[str] = set()
    for alternative in _split(pattern):
        rest = alternative
        while True:
            group, quantifier, rest = _first_group(rest)
            if group is None:
                letters.add(rest[:1].lower() if rest[:1].isalnum() or rest[:1] in "<>~=&≤≥≈↑↓" else "")
                if rest[1:2] in ("?", "*"):  # an optional letter: give up, and try the pattern everywhere
                    letters.add("")
                break
            letters |= _first_letters(group)
            if quantifier not in ("?", "*"):
                break
    return frozenset(letters)


def _split(pattern: str) -> list[str]:
    """The alternatives of a pattern: what stands between `|` outside of all brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(_structure(pattern)):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append(pattern[start:i])
            start = i + 1
    return [*parts, pattern[start:]]


def _first_group(pattern: str) -> tuple[str | None, str, str]:
    """The leading `(?:...)` or `(?i:...)` of a pattern without its brackets, its quantifier, and what follows."""
    opening = re.match(r"\(\?i?:", pattern)
    if opening is None:
        return None, "", pattern
    depth, end = 0, 0
    for i, character in enumerate(_structure(pattern)):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            end = i
            break
    quantifier = pattern[end + 1 : end + 2] if pattern[end + 1 : end + 2] in ("?", "*", "+") else ""
    return pattern[opening.end() : end], quantifier, pattern[end + 1 + len(quantifier) :]


def _structure(pattern: str) -> str:
    """A pattern with escapes and character classes blanked out, of the same length."""
    return re.sub(r"\\.|\[(?:\\.|[^\]])*\]", lambda match: "_" * len(match.group()), pattern)


def match_calibration(text: str, position: int) -> Token | None:
    """Numbers that are no measurements: paper speed, gain, age, `12-lead`, `10 s strip`."""
    match = _CALIBRATION.match(text, position)
    return None if match is None else Token("skip", None, match.start(), match.end())


def match_word(text: str, position: int) -> Token | None:
    """The vocabulary's token at `position`, if there is one."""
    match = _patterns_from(text[position]).match(text, position)
    if match is None or match.end() == position:
        return None
    tag, value, _ = VOCABULARY[int(str(match.lastgroup)[1:])]
    return Token(tag, value, match.start(), match.end())


__all__ = ["CALIBRATION", "VOCABULARY", "Token", "match_calibration", "match_word"]
