# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The rows of the table of findings that are about rhythm, premature beats, pauses and conduction (see `findings`)."""

from typing import Final

from ..ecg_limits import (
    FIBRILLATION,
    INCOMPLETE_BLOCK_MS,
    LEFT_ANTERIOR_AXIS,
    LEFT_POSTERIOR_AXIS,
    PART_3,
    PR,
    WIDE_QRS_MS,
)
from .finding import FRONTAL, NOT_MEASURED, OF_THE_AXIS, OF_THE_QRS, Criterion, Finding, Words, said

_BUNDLE = r"[\s-]?bundle[\s-](?:branch[\s-])?block(?:age)?"
_P_WAVES = r"P(?:[\s-]?waves?)?"
_QRS_COMPLEX = r"(?:the\s+|each\s+|every\s+|any\s+|a\s+|an\s+|its\s+|one\s+)*(?:narrow\s+|wide\s+|following\s+|subsequent\s+|own\s+)?(?:QRS(?:[\s-]*complex(?:es)?)?(?:es)?|ventricular\s+complex(?:es)?|complex(?:es)?|beats?)"
_PREMATURE = r"(?:premature\s+(?:beats?|complexes|contractions)|extrasystoles?|ectopic\s+beats?)"

_OF_WIDTH = r"(?:\s+(?:are|is|have|has|having|with|show)\s+(?:all\s+|an?\s+)?(?:narrow|wide|broad)(?:\s+(?:QRS(?:[\s-]*complex(?:es)?)?|complex(?:es)?)\b)?)?"


def _premature(shape: str, chamber: str) -> str:
    """Premature beats by the width of their QRS, or by where they come from: `the premature beats are wide`."""
    return (
        rf"{shape}(?:[\s-]*(?:complex|QRS))?\s+(?:{_PREMATURE}|ectopy)|{_PREMATURE}\s+(?:are|is|appear)\s+(?:all\s+|mostly\s+)?(?:{shape}|{chamber})(?:\s+in\s+origin)?"
        rf"|{_PREMATURE}\s+(?:have|has|with)\s+(?:an?\s+)?{shape}\s+(?:QRS(?:[\s-]*complex(?:es)?)?|complex(?:es)?)"
    )


_DELAY = ("intraventricular conduction disturbance",)
PREMATURE: Final = ("ectopy", "ventricular_ectopy", "atrial_ectopy")  # kinds of claims about premature beats
REPEATED: Final = (*PREMATURE, "pause", "p_relation")  # what happens again and again, and is counted
SINUS = dict.fromkeys(("sinus rhythm", "sinus bradycardia", "sinus tachycardia", "sinus arrhythmia"), "sinus rhythm")
_RHYTHMS = (
    "atrial fibrillation", "atrial flutter", "supraventricular tachycardia", "ventricular tachycardia",
    "junctional rhythm", "paced rhythm",
)  # fmt: skip

# fmt: off
RHYTHM_AND_CONDUCTION: Final = (
    Finding(
        "rhythm", "Sinus rhythm.", "rhythm",
        words=(
            Words(r"sinus[\s-]*brady\w*", "sinus bradycardia"),
            Words(r"sinus[\s-]*tach[yi]\w*", "sinus tachycardia"),
            Words(r"(?:respiratory\s+)?sinus[\s-]*arr?h?yth?mi\w*", "sinus arrhythmia"),
            Words(r"(?:normal\s+)?sinus(?:[\s-]*rh?yth?m(?:us)?|\s+mechanism|\s+origin)|sinus\s+node\s+rhythm|(?<=rhythm\sis\s)sinus\b|in\s+sinus\b(?!\s+[a-z])", "sinus rhythm"),
            Words(r"ventricular\s+(?:fib(?:rillation)?|flutter)", "ventricular fibrillation"),
            Words(r"(?:accelerated\s+)?idio-?ventricular\s+(?:rhythm|tachycardia)|ventricular\s+escape\s+rhythm", "ventricular escape rhythm"),
            Words(r"(?:wandering\s+atrial|multifocal\s+atrial)\s+(?:rhythm|tachycardia)|(?:wandering|ectopic|subsidiary)\s+(?:atrial\s+)?pacemaker", "wandering pacemaker"),
            Words(r"(?:(?:ectopic|low|accelerated)\s+)?(?:(?:ectopic|low|accelerated)\s+)?atrial\s+(?:(?:escape\s+)?rhythm|tachycardia)", "atrial rhythm"),
            Words(r"atrial\s+fib(?:rillation)?|auricular\s+fibrillation|a-?fib\b|fibrillat(?:ion|ory|ing)(?:\s+waves)?|vorhofflimmern|f[oö]rmaksflimmer\w*", "atrial fibrillation"),
            Words(r"(?:atrial\s+)?flutter(?:\s+waves)?|saw-?tooth(?:ed)?(?:\s+\w+)?\s+waves|saw-?tooth\s+pattern|(?:vorhof)?flattern|(?:f[oö]rmaks)?fladder", "atrial flutter"),
            Words(r"(?:paroxysmal\s+)?supra-?ventricular\s+tachycardia|AV(?:\s*N?RT|(?:\s+nodal)?\s+re-?entr\w+\s+tachycardia)\b|P?SVT\b|supraventrikul[aä]re\s+tach\w+", "supraventricular tachycardia"),
            Words(r"supra-?ventricular\s+arrhythmia|supraventrikul[aä]re\s+arr?h?yth?m\w+", "supraventricular arrhythmia"),
            Words(r"ventricular\s+tachycardia|ventrikul[aä]re\s+tachykardie", "ventricular tachycardia"),
            Words(r"(?:AV[\s-]?)?(?:junctional|nodal)\s+(?:escape\s+)?(?:rhythm|bradycardia|tachycardia)|AV[\s-](?:node\s+)?rhythm|(?:AV[\s-]?)?knotenrhythmus|junktional\w*", "junctional rhythm"),
            Words(r"(?:ventricular(?:ly)?|atrial(?:ly)?|dual[\s-]chamber|electronic(?:ally)?|artificially)?[\s-]?[\s-]?(?:paced|pacemaker)\s+(?:rhythm|beats?|complexes)|(?:(?:ventricular|atrial)\s+)?pacing(?:\s+(?:spikes?|artefacts?|artifacts?))?|pacemaker(?:\s+(?:spikes?|ECG|EKG))?|schrittmacher\w*", "paced rhythm"),
            Words(r"AF(?:IB)?\b", "atrial fibrillation", exact=True),
            Words(r"AFL(?:T)?\b", "atrial flutter", exact=True),
            Words(r"f[\s-]?waves", "atrial fibrillation", exact=True),
            Words(r"F[\s-]?waves", "atrial flutter", exact=True),
            Words(r"N?SR\b", "sinus rhythm", exact=True),
            Words(r"VT\b", "ventricular tachycardia", exact=True),
        ),
        said=said("rhythm", ("normal",), "sinus rhythm"),
        wave="rhythm", mentions=("rhythm", "pacing"), settled=True,
        diagnosis={**SINUS, **{name: name for name in _RHYTHMS}, "supraventricular arrhythmia": "supraventricular tachycardia"},
        criteria=(Criterion("rhythm", "atrial fibrillation: RR intervals irregular without a pattern and no repeating P waves over the whole tracing", FIBRILLATION),),
    ),
    Finding(
        "regularity", "The rhythm is irregular.", "regularity", wave="rhythm", mentions=("rhythm",),
        said={f"{subject} {word}": word for subject in ("rhythm", "intervals", "rr_interval", "heart_rate") for word in ("regular", "irregular")},
    ),
    Finding(
        "p_waves", "P waves are present.", "p_waves", said=said("p", ("normal", "regular"), "present"), wave="P", mentions=("rhythm",),
        words=(Words(r"(?:each|every|all(?:\s+of)?(?:\s+the)?)\s+QRS(?:[\s-]*complex(?:es)?)?\s+(?:is|are)\s+preceded\s+by\s+(?:an?\s+|its\s+|one\s+|own\s+|upright\s+|normal\s+|single\s+|sinus\s+)*" + _P_WAVES + r"|" + _P_WAVES + r"\s+(?:(?:is|are)\s+)?(?:(?:present|seen|visible)\s+)?(?:preced(?:es?|ing)|before|in\s+front\s+of)\s+(?:each|every)\s+QRS(?:[\s-]*complex)?", "before each QRS"),),
    ),
    Finding(
        "p_relation", "Each P wave is followed by a QRS complex.", "p_relation", wave="P", mentions=("rhythm", "P waves without QRS"),
        words=(
            Words(r"(?:each|every|all(?:\s+of)?(?:\s+the)?)\s+" + _P_WAVES + r"\s+(?:(?:(?:is|are)\s+)?(?:(?:always|promptly|regularly|consistently|duly)\s+)?(?:followed\s+by|succeeded\s+by|conducted)|conducts?|gives?\s+rise\s+to|leads?\s+to|produces?|triggers?)(?:\s+" + _QRS_COMPLEX + r")?|(?:1\s*:\s*1|one-to-one)\s+(?:AV|A-V|atrio-?ventricular)\s+(?:conduction|relationship|association)", "conducted"),
            Words(r"(?:non-?conducted|blocked|dropped)\s+(?:sinus\s+)?P[\s-]?waves?|dropped\s+(?:beats?|QRS(?:[\s-]*complex(?:es)?)?)|" + _P_WAVES + r"\s+(?:(?:that|which)\s+)?(?:(?:is|are)\s+)?(?:not\s+(?:always\s+)?followed\s+by|without)\s+" + _QRS_COMPLEX + "|" + _P_WAVES + r"\s+(?:(?:is|are)\s+(?:blocked|dropped|non-?conducted|not\s+conducted)|fails?\s+to\s+(?:be\s+)?conduct(?:ed)?)", "blocked"),
            Words(r"(?:only\s+)?every\s+(?:second|other|third|fourth)\s+P[\s-]?waves?\s+(?:(?:is|are|gets?)\s+)?(?:conducted|conducts|followed\s+by)(?:\s+" + _QRS_COMPLEX + r")?|(?:two|three|2|3)\s+P[\s-]?waves?\s+(?:for|per|to)\s+" + _QRS_COMPLEX + r"|(?:more|(?:twice|three\s+times)\s+as\s+many)\s+P[\s-]?waves?\s+(?:than|as)\s+" + _QRS_COMPLEX + r"|P[\s-]?waves?\s+outnumber\s+" + _QRS_COMPLEX, "blocked"),
            Words(r"no\s+(?:(?:fixed|constant|consistent|clear)\s+)?(?:relation(?:ship)?|association)\s+(?:(?:exists?|is\s+seen)\s+)?between\s+(?:the\s+)?" + _P_WAVES + r"\s+and\s+" + _QRS_COMPLEX + r"|atria\s+and\s+ventricles\s+(?:beat|are\s+beating|contract|fire)\s+independently(?:\s+of\s+each\s+other)?", "apart"),
            Words(_P_WAVES + r"\s+(?:(?:that|which)\s+)?(?:(?:bear(?:ing)?|ha(?:ve|s)|shows?|with)\s+no\s+(?:(?:fixed|constant|consistent)\s+)?(?:relation(?:ship)?|association)\s+(?:to|with)|(?:(?:is|are)\s+)?(?:unrelated\s+to|not\s+related\s+to|dissociated\s+from|independent\s+(?:of|from))|march(?:es|ing)?\s+through)\s+" + _QRS_COMPLEX + "|" + _P_WAVES + r"\s+and\s+" + _QRS_COMPLEX + r"\s+are\s+(?:dissociated|unrelated|independent)|(?:no|none\s+of\s+the)\s+" + _P_WAVES + r"\s+(?:(?:is|are)\s+)?(?:followed\s+by|conducted)(?:\s+" + _QRS_COMPLEX + ")?", "apart"),
            Words(_P_WAVES + r"\s+(?:(?:is|are)\s+)?(?:(?:seen|found|visible|located)\s+)?(?:follow(?:s|ing)?|(?:comes?\s+)?after|behind)\s+(?:(?:rather\s+than|instead\s+of|and\s+not)\s+(?:preced(?:e|ing)|before)\s+)?" + _QRS_COMPLEX, "behind"),
            Words(r"(?<!no\s)" + _P_WAVES + r"\s+(?:(?:is|are)\s+)?(?:(?:present|seen|found|visible)\s+)?(?:preced(?:es?|ing)|before|in\s+front\s+of)\s+(?:only\s+)?(?:some|a\s+few|every\s+(?:second|other|third))(?:\s+of)?(?:\s+the)?\s+" + _QRS_COMPLEX, "some"),
            Words(r"(?:(?:only\s+)?(?:some|a\s+few)|not\s+(?:all|every|each))(?:\s+of)?(?:\s+the)?\s+" + _QRS_COMPLEX + r"\s+(?:(?:is|are)\s+(?:not\s+)?(?:preceded|led)\s+by|ha(?:s|ve)|lacks?)\s+(?:an?\s+|any\s+)?(?:preceding\s+)?P[\s-]?waves?", "some"),
        ),
    ),
    Finding(
        "av_conduction", "AV conduction is normal.", "av_conduction", wave="PR", mentions=("PR interval",),
        named=r"(?:AV|A-V|atrio-?ventricular)(?:[\s-]+nodal)?\s+conduction", said=said("av_conduction", ("normal", "normal_range"), "normal"),
    ),
    Finding(
        "pr_course", "The PR interval is constant.", "pr_course", wave="PR", mentions=("PR interval",),
        said={"pr_interval regular": "constant", "pr_interval irregular": "varies", "pr_interval lengthens": "lengthens", "pr_interval shortens": "shortens"},
    ),
    Finding("escape_beats", "Junctional escape beats.", NOT_MEASURED, words=(Words(r"(?:junctional|nodal|ventricular|atrial)\s+escape(?:\s+(?:beats?|complex(?:es)?))?|escape\s+(?:beats?|complex(?:es)?)"),), wave="rhythm", settled=True),
    Finding("pause", "There is a pause.", "pause", unit="ms", words=(Words(r"sinus\s+(?:pauses?|arrest)|(?<!compensatory )pauses?|sino-?atrial\s+block"),), wave="rhythm", settled=True),
    Finding("bigeminy", "Bigeminy.", "ectopy", words=(Words(r"(?:ventricular\s+)?bigemin(?:y|us|al)"),), wave="rhythm", mentions=("rhythm",), settled=True),
    Finding(
        "ventricular_ectopy", "Premature ventricular complexes.", "ectopy", wave="rhythm", settled=True, diagnosis="premature ventricular complexes",
        words=(Words(r"(?:(?:premature\s+ventricular|ventricular\s+(?:premature|extra|ectopic))[\s-]*(?:complex(?:es)?|contractions?|beats?|systoles?|depolari[sz]ations?|ectopics?)|ventricular\s+(?:ectopy|extrasystoles?|trigeminy|quadrigeminy)|PVCs?\b|VP[BC]s?\b|VEBs?\b|(?<!S)VES\b|ventrikul[aä]re?(?:\(a\))?\s+extrasyst\w*)" + _OF_WIDTH), Words(_premature(r"(?:wide|broad)", "ventricular"))),
    ),
    Finding(
        "atrial_ectopy", "Premature atrial complexes.", "ectopy", wave="rhythm", settled=True, diagnosis="premature atrial complexes",
        words=(Words(r"(?:(?:premature\s+(?:atrial|supraventricular)|(?:supraventricular|atrial)\s+(?:premature|extra|ectopic))[\s-]*(?:complex(?:es)?|contractions?|beats?|systoles?|depolari[sz]ations?)|(?:supraventricular|atrial)\s+(?:ectopy|extrasystoles?)|PACs?\b|AP[BC]s?\b|SVPBs?\b|SVEs?\b|supraventrikul[aä]re?(?:\(a\))?\s+extrasyst\w*|SVES\b)" + _OF_WIDTH), Words(_premature("narrow", r"(?:supraventricular|atrial)"))),
    ),
    Finding("ectopy", "Ectopic beats.", "ectopy", words=(Words(r"ectop(?:y|ic\s+beats?)|premature(?:ly)?(?:\s+(?:beats?|complexes|contractions))?|ectopic(?=\s*(?:[.,;]|$))|extrasystoles?|(?:tri|quadri)gemin(?:y|us|al)"),), wave="rhythm", settled=True),
    Finding(
        "pre_excitation", "Pre-excitation.", "pre_excitation", wave="PR", settled=True, diagnosis="pre-excitation",
        words=(Words(r"wolff[\s-]*parkinson[\s-]*white(?:\s+(?:pattern|syndrome))?|WPW\b|(?:ventricular\s+)?pre-?excitation|delta[\s-]?waves?|pr[aä]exzitation"),),
        criteria=(Criterion("P and PR", f"pre-excitation: PR below {PR.low:.0f} ms, delta wave, QRS of {WIDE_QRS_MS:.0f} ms or more", PART_3),),
    ),
    Finding(
        "incomplete_rbbb", "Incomplete right bundle branch block.", "bundle_branch", wave="QRS", shown_in=("V1",), settled=True, diagnosis="right bundle branch block", implies=_DELAY,
        words=(Words(r"(?:incomplete|partial)\s+(?:right" + _BUNDLE + r"|RBBB)\b|I-?RBBB\b|(?:inkompletter|unvollst[aä]ndiger)\s+rechts[\s-]?schenkelblock"),),
    ),
    Finding(
        "incomplete_lbbb", "Incomplete left bundle branch block.", "bundle_branch", wave="QRS", settled=True, diagnosis="left bundle branch block", implies=_DELAY,
        words=(Words(r"(?:incomplete|partial)\s+(?:left" + _BUNDLE + r"|LBBB)\b|I-?LBBB\b|(?:inkompletter|unvollst[aä]ndiger)\s+links[\s-]?schenkelblock"),),
    ),
    Finding(
        "rbbb", "Right bundle branch block.", "bundle_branch", wave="QRS", shown_in=("V1", "V6"), mentions=OF_THE_QRS, settled=True, diagnosis="right bundle branch block", implies=_DELAY,
        words=(Words(r"(?:complete\s+)?(?:right(?:,?\s+(?:not|rather\s+than)\s+left,?)?" + _BUNDLE + r"|RBBB)\b|CRBBB\b|rechts[\s-]?schenkelblock|h[oö]gersidigt\s+sk[aä]nkelblock"),),
        criteria=(Criterion("QRS", f"complete right bundle branch block: QRS of {WIDE_QRS_MS:.0f} ms or more, second R in V1 or V2, S in I and V6 longer than the R or than 40 ms; incomplete from {INCOMPLETE_BLOCK_MS:.0f} ms on", PART_3),),
    ),
    Finding(
        "lbbb", "Left bundle branch block.", "bundle_branch", wave="QRS", shown_in=("V1", "V6"), mentions=OF_THE_QRS, settled=True, diagnosis="left bundle branch block", implies=_DELAY,
        words=(Words(r"(?:complete\s+)?(?:left(?:,?\s+(?:not|rather\s+than)\s+right,?)?" + _BUNDLE + r"|LBBB)\b|CLBBB\b|links[\s-]?schenkelblock|v[aä]nstersidigt\s+sk[aä]nkelblock"),),
        criteria=(Criterion("QRS", f"complete left bundle branch block: QRS of {WIDE_QRS_MS:.0f} ms or more, broad notched or slurred R in I, aVL, V5, V6 without q; incomplete from {INCOMPLETE_BLOCK_MS:.0f} ms on", PART_3),),
    ),
    Finding("bundle_branch_block", "Bundle branch block.", "bundle_branch", words=(Words(r"bundle[\s-]branch[\s-]blocks?|BBB\b"),), wave="QRS", mentions=OF_THE_QRS, settled=True),
    Finding(
        "ivcd", "Intraventricular conduction delay.", "bundle_branch", wave="QRS", mentions=OF_THE_QRS, settled=True, diagnosis="intraventricular conduction disturbance",
        words=(Words(r"(?:non-?\s?specific\s+)?intra-?ventricular\s+(?:conduction\s+)?(?:delay|disturbance|disorder|defect|block)|IVCD\b|intraventrikul[aä]r\w*\s+(?:block|leitung|erregung)\w*"),),
        criteria=(Criterion("QRS", f"non-specific intraventricular conduction disturbance: QRS above {INCOMPLETE_BLOCK_MS:.0f} ms without either form", PART_3),),
    ),
    Finding(
        "lafb", "Left anterior fascicular block.", "fascicle", wave="QRS", shown_in=FRONTAL, mentions=OF_THE_AXIS, settled=True, diagnosis="fascicular block", implies=_DELAY,
        words=(Words(r"left\s+anterior\s+(?:fascicular|hemi)[\s-]*block|LAFB\b|LAHB\b|links?[\s-]?anteriorer\s+(?:hemi|faszikel)\w*|(?:ü|ue?)berdrehter\s+linkstyp"),),
        criteria=(Criterion("QRS", f"left anterior fascicular block: axis {LEFT_ANTERIOR_AXIS.high:.0f} to {LEFT_ANTERIOR_AXIS.low:.0f} degrees, qR in aVL, QRS below {WIDE_QRS_MS:.0f} ms", PART_3),),
    ),
    Finding(
        "lpfb", "Left posterior fascicular block.", "fascicle", wave="QRS", shown_in=FRONTAL, mentions=OF_THE_AXIS, settled=True, diagnosis="fascicular block", implies=_DELAY,
        words=(Words(r"left\s+posterior\s+(?:fascicular|hemi)[\s-]*block|LPFB\b|LPHB\b|links?[\s-]?posteriorer\s+(?:hemi|faszikel)\w*"),),
        criteria=(Criterion("QRS", f"left posterior fascicular block: axis +{LEFT_POSTERIOR_AXIS.low:.0f} to +{LEFT_POSTERIOR_AXIS.high:.0f} degrees, rS in I and aVL, qR in III and aVF, QRS below {WIDE_QRS_MS:.0f} ms", PART_3),),
    ),
    Finding(
        "conduction_disturbance", "Conduction disturbance: yes.", "conduction_disturbance", wave="QRS", mentions=OF_THE_QRS, settled=True,
        words=(Words(r"conduction\s+(?:disturbances?|disorders?|abnormalit(?:y|ies)|defects?)"),),
    ),
    Finding("fascicular_block", "Bifascicular block.", NOT_MEASURED, words=(Words(r"bifas[cz]i[ck]ul\w*\s+block\w*|fascicular\s+block|hemiblock"),), wave="QRS", settled=True, diagnosis="fascicular block", implies=_DELAY),
    Finding(
        "av_block", "First degree AV block.", "av_block", wave="PR", mentions=("PR interval", "prolonged PR", "P waves without QRS"), settled=True, diagnosis="AV block",
        words=(
            Words(r"(?:first|1st|1)[\s-]*(?:degree|deg\.?)\s+(?:AV|A-V|atrio-?ventricular|heart)?[\s-]*(?:block|B\b)|1[°º]\s*AV[\s-]*(?:block|B\b)|I[\s-]*AVB\b|AVB?\s*(?:I|1)\b(?!\s*I)|(?:AV|A-V|atrio-?ventricular)[\s-]*block,?\s*(?:of\s+(?:the\s+)?)?(?:first|1st|I|1)(?:[\s-]*degree|°)?(?![\w:°])", 1),
            Words(r"(?:second|2nd|2)[\s-]*degree\s+(?:AV|A-V|atrio-?ventricular|heart)?[\s-]*block(?:\s*,?\s*\(?(?:mobitz|type)(?:\s+type)?\s+(?:II|I|1|2)\)?)?|(?:mobitz|wenckebach)(?:\s+(?:type\s+)?(?:II|I|1|2))?(?:\s+(?:AV\s+)?block)?|2[°º]\s*AV[\s-]*block", 2),
            Words(r"(?:third|3rd|3)[\s-]*degree\s+(?:AV|A-V|atrio-?ventricular|heart)?[\s-]*block|complete\s+(?:AV|A-V|atrio-?ventricular|heart)[\s-]*block|(?:AV|atrio-?ventricular)\s+dissociation|3[°º]\s*AV[\s-]*block", 3),
            Words(r"(?:2\s*:\s*1|two[\s-]to[\s-]one)\s+(?:AV|A-V|atrio-?ventricular)[\s-]*block", "2:1"),
            Words(r"(?:AV|A-V|atrio-?ventricular)[\s-]*(?:conduction\s+)?block", None),
        ),
    ),
)
# fmt: on

__all__ = ["PREMATURE", "REPEATED", "RHYTHM_AND_CONDUCTION", "SINUS"]
