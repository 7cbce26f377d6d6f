# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The words of ECG texts as tokens: waves and intervals, qualities, diagnoses, negations, hedges, comparisons.

Every entry is (value, pattern). `VOCABULARY` lists them in the order in which they are tried: phrases before the words they
contain. Patterns ignore case, except those in capitals: `T`, `Q` and `LAD` have a meaning only in capitals.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from .findings import FINDINGS, RECORDING, WAVE

# Denies a normal ECG.
ABNORMAL_ECG = rf"abnormal\s+{RECORDING}|{RECORDING}\s+is\s+(?:clearly\s+)?abnormal"

# Subjects of a quality or a size; they are not findings by themselves. Compounds are tried before the words they contain.
COMPOUND_SUBJECTS: tuple[tuple[str, str], ...] = (
    ("axes", r"P-(?:R|QRS)-T\s+ax[ei]s"),
    ("pr_segment", r"P-?R[\s-]*segments?"),
    ("qtc_fridericia", r"QT\s?-?cF\b(?:[\s-]*(?:intervals?))?"),
    ("qtc_bazett", r"QT\s?-?cB\b(?:[\s-]*(?:intervals?))?"),
)  # fmt: skip
SUBJECTS: tuple[tuple[str, str], ...] = (
    ("conduction", r"conduction(?!\s+intervals)"),
    ("baseline", r"baseline"),
    ("qrs", r"QRS(?:[\s-]*complex(?:es)?)?(?:es)?\b|QRSd\b|ventricular\s+complex(?:es)?|complexes"),
    # Waves in lower case, as reports write them beside a quality.
    ("t", r"t(?=\s+(?:neg|flat|high|low|abnormal|invert)\w*\b)|(?<=\bneg\s)t\b|(?<=\bflat\s)t\b|(?<=\babnormal\s)t\b"),
    ("p", r"p(?=[\s-](?:broadening|widening))"),
    ("st", r"S\s?-?T\b(?:[\s-]*(?:segments?))?(?:\s+levels?)?(?!\s*-\s*T)|J[\s-]?points?"),
    ("p", r"P" + WAVE + r"|Ps\b|atrial\s+activity"),
    ("q", r"Q" + WAVE),
    ("t", r"T" + WAVE),
    ("r", r"R" + WAVE),
    ("s", r"S" + WAVE),
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

_THAN_NORMAL = r"\s+than\s+(?:the\s+|is\s+|what\s+is\s+(?:considered\s+)?)?(?:normal|usual|expected)(?:\s+(?:range|limit|value)s?)?"
_TIMES = r"(?:twice|thrice|double|triple|(?:two|three|four|[123456789]\d?(?:\.\d+)?)\s+times)"
_OF_NORMAL = r"\s+(?:the\s+)?normal(?:\s+(?:range|limit|value|rate|width|length|duration|size)s?)?"
_NORMAL_LIMIT = (
    r"\s+(?:the\s+)?(?:(?:upper|lower)\s+)?(?:limits?\s+of\s+normal|normal(?:\s+(?:range|limits?|values?))?)"
)
COMPARED_QUALITIES: tuple[tuple[str, str], ...] = (
    ("high", r"(?:above|over|exceed(?:s|ing|ed)?|beyond)" + _NORMAL_LIMIT),
    ("low", r"below" + _NORMAL_LIMIT),
    ("high", rf"(?:greater|higher|more){_THAN_NORMAL}|{_TIMES}{_OF_NORMAL}|{_TIMES}\s+as\s+(?:high|large|much)\s+as{_OF_NORMAL}"),
    ("large", rf"(?:larger|bigger){_THAN_NORMAL}"),
    ("low", rf"(?:lower|less){_THAN_NORMAL}|half{_OF_NORMAL}"),
    ("small", r"smaller" + _THAN_NORMAL),
    ("tall", rf"taller{_THAN_NORMAL}|{_TIMES}\s+as\s+tall\s+as{_OF_NORMAL}"),
    ("flat", r"flatter" + _THAN_NORMAL),
    ("pathological", r"deeper" + _THAN_NORMAL),
    ("fast", rf"(?:faster|quicker){_THAN_NORMAL}|{_TIMES}\s+as\s+fast\s+as{_OF_NORMAL}"),
    ("slow", rf"slower{_THAN_NORMAL}|(?:half|{_TIMES})\s+as\s+slow\s+as{_OF_NORMAL}|half\s+as\s+fast\s+as{_OF_NORMAL}"),
    ("prolonged", rf"longer{_THAN_NORMAL}|{_TIMES}\s+as\s+long\s+as{_OF_NORMAL}"),
    ("short", rf"shorter{_THAN_NORMAL}|half\s+as\s+long\s+as{_OF_NORMAL}"),
    ("abnormal", r"(?:(?:falls?|lies?|is|are)\s+)?(?:outside(?:\s+of)?|out\s+of)\s+(?:the\s+)?(?:normal|reference|physiologic(?:al)?)\s+(?:limits?|ranges?|values?|bounds)"),
    ("wide", rf"(?:wider|broader){_THAN_NORMAL}|{_TIMES}\s+as\s+(?:wide|broad)\s+as{_OF_NORMAL}"),
    ("narrow", r"narrower" + _THAN_NORMAL),
)  # fmt: skip
# Back at normal or at the baseline: it denies a finding that it is said of ("ST elevation has normalised").
RESTORED = r"normali[sz]ed|(?:returned|reverted|gone\s+back|come\s+back|back)\s+to\s+(?:normal|(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?))"
RESTORED_WORDS = ("normali", "returned", "reverted", "gone", "come", "back")
# "Has shortened" and "shortened from 510 ms" tell of a change; only "is shortened" says that something is short.
CHANGED = ("shortened", "lengthened", "prolonged", "widened", "broadened", "narrowed", "increased", "slowed", "diminished", "reduced", "accelerated", "raised", "lowered", "elevated")  # fmt: skip
QUALITY_PHRASES: tuple[tuple[str, str], ...] = (
    ("normal", RESTORED),
    ("normal", r"(?:(?:on|at|in|towards?)\s+the\s+)?(?:low|lower|high|higher|upper|short|long|slow|fast)\s+(?:side|end|part)\s+of\s+(?:the\s+)?normal(?:\s+(?:range|limits?|values?))?|(?:low|high)[\s-]+normal\b"),
    ("isoelectric", r"iso-?electric|(?:at|on|near|returns?\s+to)\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)|iso-?electrical|neutral"),
    ("normal_range", r"(?:(?:falls?|lies?|is|are|stays?|remains?)\s+)?(?:with)?in(?:side)?\s+(?:the\s+)?(?:normal|reference|physiologic(?:al)?|expected)\s+(?:limits?|ranges?|values?|bounds|intervals?)|within\s+limits|WNL\b|in\s+range\b"),
    ("small", r"(?:small|tiny|septal|narrow|physiologic(?:al)?|non-?pathologic(?:al)?|insignificant)\s+(?=q\b|q[\s-]?waves?)|non-?pathologic(?:al)?"),
    ("elevated", r"↑|displaced\s+upwards?|upwards?\s+displacement|elevat(?:ed|ions?|es?)|raised|(?:lies?|sits?|is|are|rises?)\s+above\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)|above\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)"),
    ("depressed", r"↓|displaced\s+downwards?|downwards?\s+displacement|depress(?:ed|ions?)|lowered|sagging|below\s+(?:the\s+)?(?:baseline|isoelectric(?:\s+line)?)|sunken"),
)  # fmt: skip
QUALITIES: tuple[tuple[str, str], ...] = (
    ("inverted", r"(?:point(?:ing|s|ed)?|direct(?:ed)?|deflect(?:ed|ing)?)\s+down(?:wards?)?|down-?going|downward\s+(?:pointing|deflect(?:ed|ion)s?)|invert(?:ed)?\b|inversions?|neg(?:ative(?:ly)?)?\b(?!\s+for)|upside[\s-]down|flipped"),
    ("flat", r"flat(?:tened|tening|tish)?|low[\s-]amplitude|blunted"),
    ("tall", r"tall|peaked|hyper-?acute|giant|prominent|tented"),
    ("biphasic", r"bi-?phasic|notched"),
    ("upright", r"upright|positive|(?:point(?:ing|s|ed)?|direct(?:ed)?|deflect(?:ed|ing)?)\s+up(?:wards?)?"),
    ("pathological", r"pathologic(?:al)?(?:ly)?|(?:deep|wide|broad|significant|abnormal|prominent)\s+(?:and\s+\w+\s+)?(?=q\b|q[\s-]?waves?|qs\b)"),
    ("prolonged", r"prolong(?:ed|ation|s)?|(?:abnormally|too)\s+long|long\b|lengthen(?:ed|ing)|(?<=\bqt\s)extension|delayed"),
    ("short", r"short(?:ened|ening)?\b"),
    ("wide", r"wide(?:ned|ning)?\b|broad(?:ened|ening)?\b"),
    ("narrow", r"narrow\b"),
    ("lengthens", r"lengthens\b|(?:progressively|gradually)\s+(?:lengthens?|increases?|lengthening|increasing)|increases\s+(?:progressively|gradually|beat\s+(?:by|to)\s+beat)"),
    ("shortens", r"shortens\b|(?:progressively|gradually)\s+(?:shortens?|decreases?|shortening|decreasing)|decreases\s+(?:progressively|gradually|beat\s+(?:by|to)\s+beat)"),
    ("irregular", r"unequal|irregularly[\s-]+irregular|irregular(?:ly|ity|ities)?|(?:highly\s+)?variable|vary\b(?!\s+(?:only\s+)?by\b)|varies\b(?!\s+(?:only\s+)?by\b)|unevenly\s+spaced|uneven|varying|chaotic"),
    ("regular", r"regular(?:ly|ity)?(?:[\s-]+spaced)?|evenly\s+spaced|constant|equidistant|steady|uniform|equal\b(?!\s+to\b)|identical\b(?!\s+to\b)|fixed\b(?!\s+(?:defect|relation|association))|stable\b|unchanging|(?:the\s+)?same(?=\s+(?:throughout|in\s+(?:all|every|each)|for\s+(?:all|every|each)))"),
    ("slow", r"slow(?:ed)?\b"),
    ("fast", r"fast\b|rapid|accelerated"),
    ("uncontrolled", r"(?:un|(?:poorly|inadequately|insufficiently)[\s-]+)controlled"),
    ("controlled", r"(?:(?:well|adequately)[\s-]+)?controlled"),
    ("poor", r"poor(?:ly)?|reduced|attenuated"),
    ("low", r"low\b|small\b|diminished"),
    ("high", r"high\b|increased|large\b"),
    ("abnormal", r"abnormal(?:ly|it(?:y|ies))?|changes?\b|alterations?"),
    ("deviation", r"deviat(?:ions?|ed)|displace(?:ments?|d)|shifts?\b"),
    ("normal", r"normal(?:ly)?\b|unremarkable|inconspicuous|preserved|intact|physiologic(?:al)?|good\b|adequate"),
)  # fmt: skip

# What has ended ("has resolved"), what has given place to something else ("converted to"), and words that leave a part of it there.
_ENDED = r"(?:resolved|disappeared|subsided|terminated|vanished|ceased|abated|regressed|remitted|cleared|settled|stopped|faded|gone(?!\s+(?:from|to|up|down|back|into)))"
_SINCE = r"(?:\s+(?:now|since|all|also|again|already|meanwhile|subsequently|completely|fully|entirely|totally|spontaneously|been))*"
_ENDING = r"(?:resolution|disappearance|cessation|regression|abolition|normali[sz]ation|termination(?=\s+of\s+(?:the\s+)?(?:atrial|AF|A-?fib|flutter|SVT|VT|supra-?ventricular|ventricular|tachy)))"
_TURNED = (
    r"(?:(?:(?:cardio)?converted|converts|changed|progressed|degenerated|deteriorated|evolved|developed|turned|switched|reverted|transitioned|transformed)\s+(?:back\s+)?(?:in)?to"
    r"|(?:given|gave|gives|giving)\s+way\s+to|(?:replaced|superseded|supplanted|succeeded)\s+by)(?!\s+(?:(?:about|only|some|over|under)\s+)?[-\d.])"
)
# "Not without", "cannot deny": said to be there after all.
_DENIED_TWICE = r"not\s+without|(?:cannot|can't|could\s+not)\s+(?:be\s+denied|deny)(?:\s+that)?|(?:no|without)\s+denying(?:\s+that)?|undeniabl[ey]|undoubtedl?y?"
NEGATION_PHRASES: tuple[tuple[str, str], ...] = (
    ("hedge", r"(?:cannot|can\s?not|can't|could\s+not|not)\s+(?:be\s+)?(?:exclude|rule[ds]?\s+out|excluded|completely\s+exclude)d?"),
    ("skip", _DENIED_TWICE),
    ("skip", r"(?<![a-z]\s)rule\s+out|not\s+used(?=\s*:)|not\s+(?:only|necessarily|just)|no\s+(?:doubt|prior|previous|comparison)|(?:ha(?:s|ve|d)n't|not|never|incompletely|partially|partly|mostly|largely|almost|nearly)\s+(?:yet\s+|been\s+|fully\s+|completely\s+|entirely\s+)*(?:" + _ENDED + r"|normali[sz]ed)|(?:no|without|lack\s+of|absence\s+of|partial|incomplete|gradual|progressive|slow)\s+(?:\w+\s+)?" + _ENDING + r"\s+of|not\s+(?:too\s+|so\s+|very\s+)?far\s+from|(?:to|should)\s+(?:exclude|rule\s+out)"),
    ("unmeasured", r"(?:not|cannot\s+be|can't\s+be|could\s+not\s+be)\s+(?:reliably\s+|accurately\s+)?(?:measurable|measured|assessed|determined|assessable|calculated|available|reported|applicable)|unmeasurable|indeterminate|undetermined|n/a\b"),
    ("before", r"not\s+(?:yet\s+|been\s+)*" + _TURNED),
    ("before", r"too\s+(?:narrow|short|small|low|slow|few)\s+for|(?:falls?\s+|well\s+)?short\s+of(?:\s+(?:the\s+)?(?:\d+(?:\.\d+)?\s*(?:mm|mV)\s+)?(?:threshold|cut-?off|limit|criteri(?:on|a))s?\s+(?:for|of))?(?!\s+\d)|below\s+(?:the\s+)?(?:\d+(?:\.\d+)?\s*(?:mm|mV)\s+)?(?:threshold|cut-?off|limit|criteri(?:on|a))s?\s+(?:for|of)(?!\s+(?:normal|\d))"),
    ("turned", r"(?:ha(?:s|ve|d)" + _SINCE + r"\s+)?" + _TURNED),
    ("from", r"(?:chang(?:ed|es|ing)|convert(?:ed|s|ing)|transition(?:ed|ing)|switch(?:ed|ing)|gone|went|progressed)\s+from(?!\s+-?\d)|conversion\s+(?:from|of)"),
    ("before", r"(?:is|are|was|were)\s+spared(?:\s+(?:from|of|by))?|" + _ENDING + r"\s+of|loss\s+of(?=\s+(?:\w+\s+)?P[\s-]?waves?)|ha(?:s|ve|d)\s+(?:now\s+)?(?:replaced|superseded|supplanted)|replac(?:es|ing)|ha(?:s|ve|d)\s+left(?=\s+sinus)"),
    ("after", r"ha(?:s|ve|d|ving)" + _SINCE + r"\s+" + _ENDED + r"|gone(?!\s+(?:from|to|up|down|back|into))"),
    ("after", r"(?:not|n't|no\s+longer|cannot\s+be|never|hardly|scarcely)\s+(?:be\s+)?(?:clearly\s+|readily\s+|reliably\s+|be\s+)?(?:seen|present|visible|observed|evident|identified|identifiable|noted|detected|discernible|appreciated|found|diagnosed|confirmed|established|recogni[sz]able|there|apparent|visuali[sz]ed|demonstrated|detectable|maintained|sustained|made|supported)|(?:can|may|could)\s+(?:\w+\s+)?be\s+(?:\w+\s+)?(?:ruled\s+out|excluded|discounted|dismissed)|(?:has|have|had)\s+(?:\w+\s+)?been\s+(?:\w+\s+)?(?:ruled\s+out|excluded)|(?:ruled\s+out|excluded)(?=\s*(?:[.,;:!)\n]|$))|(?:is|are|was|were)\s+lost|(?:spares?|sparing)|(?:is|are|were|was)\s+(?:ruled\s+out|excluded|missing|lacking|not\s+a\s+feature)|undetectable|invisible|(?:is\s+|are\s+|very\s+|highly\s+)?(?:unlikely|improbable)|nowhere\s+(?:to\s+be\s+)?(?:seen|found|visible)"),
    ("untrue", r"(?:is|are|was|were)\s+(?:clearly\s+|therefore\s+)?(?:incorrect|wrong|inaccurate|false|erroneous|mistaken|untrue|not\s+(?:correct|accurate|true))(?=\s*(?:[.,;:!?)\n]|$|and\b|but\b|because\b|as\b|since\b|for\b|in\b))"),
    ("after", r"(?:(?:do|does|did)\s+not|don't|doesn't|never|fails?\s+to)\s+(?:appear|occur|exist|arise|precede)|(?:not|never)\s+(?:clearly\s+|fully\s+)?(?:met|fulfilled|satisfied|reached|given)"),
)  # fmt: skip
NEGATIONS: tuple[tuple[str, str], ...] = (
    ("near", r"kein(?:e[mnrs]?)?|ohne|nicht"),
    ("absent", r"absent|missing|none(?!\s+of)|nil|(?<!well[\s-])resolved|disappeared|subsided|vanished"),
    ("ended", r"no\s+longer(?!\s+than\b)"),
    ("before", r"(?:no|rather\s+than|instead\s+of|as\s+opposed\s+to|nowhere(?:\s+is\s+there)?|without|lacks?|lacking|absence\s+of|lack\s+of|free\s+(?:of|from)|neither|nor|negative\s+for|devoid\s+of|(?:argu(?:es?|ing)\s+|speak(?:s|ing)?\s+)?against|rul(?:es?|ing)\s+out|excludes?|never|far\s+from(?:\s+being)?|hardly|scarcely|anything\s+but|by\s+no\s+means|nowhere\s+near|nothing\s+like|in\s+no\s+way|nothing(?=\s+(?:about|in|is|of|regarding)\b)|(?:deviat|differ|depart)\w*\s+from(?=\s+(?:the\s+)?normal)|none\s+of|nothing\s+(?:\w+\s+)?(?:to\s+(?:suggest|support|indicate)|suggests?|indicates?|supports?|points?\s+to(?:wards?)?|speaks?\s+for|suggestive\s+of|indicative\s+of)(?:\s+a\s+diagnosis\s+of)?|(?:untrue|false|wrong|incorrect)\s+(?:that|to\s+(?:say|call))|not|cannot|can't|(?:at|in)\s+no\s+(?:time|point|beat|lead)|fails?\s+to(?:\s+show)?|do(?:es)?\s+not\s+(?:show|have|demonstrate|reveal|display|exhibit|meet)|isn't|aren't|wasn't|doesn't|don't|non(?![\s-]*(?:specific|diagnostic|sustained|conducted|transmural|Q[\s-]wave)))\b(?:\s+(?:any|clear|definite|obvious|convincing|sign(?:s)?\s+of|evidence\s+(?:of|for)|indication\s+of|suggestion\s+of|features\s+of|criteria\s+for))*"),
)  # fmt: skip
HEDGES = r"possibl[ey]|probabl[ey]|likely|may\b|might|could|suspected|suspicio(?:us|n)(?:\s+of|\s+for)?|suggest(?:s|ed|ing|ive)?(?:\s+of)?|consistent\s+with|compatible\s+with|in\s+keeping\s+with|suspect|consider|questionable|borderline|equivocal|perhaps|appears?(?:\s+to\s+be)?|seems?(?:\s+to\s+be)?|points?\s+to(?:wards?)?|indicat(?:es?|ing|ive)(?:\s+of)?|raises?\s+(?:the\s+)?(?:possibility|concern|suspicion)|potential(?:ly)?"
# Statements about ECGs in general or other recordings, not about this one: the whole clause, or what follows.
GENERAL_CLAUSE = r"(?:causes?|reasons?|a?etiology|significance|age)\s+of|defined\s+as|(?:is|are)\s+(?:generally\s+|usually\s+|typically\s+)?considered|values?\s+(?:above|below|over|under|greater|less)|criteri(?:on|a)\s+(?:require|(?:is|are)\s+(?!not|met|ful|pos|neg|sat|pre|abs))"
_ECG = r"(?:ECG|EKG|tracing|recording|electrocardiogram)s?"
_FORMER = (
    r"(?:last\s+(?:year|month|week|night|winter|summer|spring|autumn|fall|visit|admission)|yesterday|(?:19|20)\d\d)"
)
# Another record as what a sentence is about (nothing where this one is compared with it), and a time that has passed.
OTHER_RECORD = rf"(?:{_FORMER}(?:'s)?|(?:outside|referral|initial|first|preoperative|admission)(?:\s+hospital)?)\s+{_ECG}(?=\s+(?:had|was|were|\w{1, 15}ed)\b)|(?<!this\s){_FORMER}(?:'s)?\s+{_ECG}|{_ECG}\s+(?:from|of|in|dated)\s+{_FORMER}(?=[^.;\n]{{0,20}}\b(?:had|was|were|\w{1, 15}ed)\b)"
FORMER_TIME = rf"(?<!since\s)(?<!than\s)(?<!as\s)(?<!from\s)(?<!with\s)(?<!to\s)(?<!like\s)(?<!by\s)(?<!taken\s)(?<!made\s)(?<!recorded\s)(?<!obtained\s)(?<!acquired\s)(?<!performed\s)(?<!dated\s)(?:last\s+(?:year|month|week|night|winter|summer|spring|autumn|visit|admission)|yesterday|(?:years?|months?|weeks?|days?|hours?)\s+ago|in\s+the\s+past|in\s+(?:childhood|(?:19|20)\d\d\b))(?!'s|\s+{_ECG})"
_FAMILY = r"(?:(?:grand)?(?:mother|father|parents?)|brother|sister|siblings?|son|daughter|uncle|aunt|cousin|relatives?|twin|wife|husband)"
_TREATED = r"(?:referred|sent|admitted|evaluated|evaluation|investigated|assessed|treated|treatment|screened|anticoagulated|anticoagulation|anticoagulants?|medicated|medication|therapy|ablated|ablation|cardioverted|cardioversion|hospitali[sz]ed|operated|surgery|work-?up|prophylaxis|apixaban|warfarin|amiodarone|flecainide|sotalol|beta-?blockers?)"
# What a person has had, is treated or examined for, or is at risk of: up to a statement of its own ("..., now in sinus rhythm").
HISTORY = rf"history\s+of|{_FAMILY}(?:'s)?(?=\s+(?:had|has|have|was|were|with|died|is|are|carr\w+|suffer\w*)\b)|{_TREATED}\s+(?:for|because\s+of|due\s+to)|(?:ablation|cardioversion|treatment|therapy|prophylaxis)\s+of|(?:status|state)[\s-]+post|s/p\b|indications?(?=\s*:|\s+(?:for|is|was|of)\b)|reason\s+for\s+(?:the\s+)?(?:referral|request|admission|test|ECG|EKG|study|visit|exam\w*)|clinical\s+(?:question|details|information|indication|history)|symptoms\s+of|(?:(?:past|medical|surgical|cardiac|family)\s+)?(?:medical\s+)?history(?=\s*:)|PMHx?\b|(?<![a-z]\s)query\b|(?:patients|people|individuals|persons|athletes)\s+(?:with|who)|(?:repeat|follow-?up|serial|control)\s+{_ECG}(?=\s+(?:may|might|could|can|will|would|should|to)\b)|complain(?:s|ed|ing|ts?)\s+of|risk\s+(?:of|for)|(?:predispos(?:es?|ed|ing)|prone)\s+to|(?:to\s+)?(?:look(?:ing)?|watch(?:ing)?|search(?:ing)?|screen(?:ing)?|check(?:ing)?)\s+(?:out\s+)?for"
# A reading that the text contrasts with its own: "The machine read AF, but I disagree".
_READS = r"(?:mis)?(?:read|reads|interpret(?:s|ed)?|label(?:s|led|ed)?|call(?:s|ed)?|diagnose[sd]?|report(?:s|ed)?|flag(?:s|ged)?|classif(?:y|ied|ies))"
_READER = r"(?:machine|computer(?:i[sz]ed)?|automat(?:ed|ic)|software|algorithm|device|referring\s+\w+)"
REJECTED = rf"{_READER}(?=[^.\n]{{0,120}}\b(?:but|however|yet|although|though|disagree|whereas|over-?read|overruled|rejected|dismissed|discarded|disregarded)\b)|(?:wrongly|erroneously|mistakenly|falsely|incorrectly)\s+(?:been\s+)?{_READS}(?:\s+as)?|mis(?:read|interpreted|label(?:l?ed)|diagnosed|taken|classified)\s+(?:as|for)|{_READS}\s+as(?=[^.;\n]{{0,60}}\bby\s+(?:the\s+)?{_READER})"
CONTRASTED = r"(?:unlike|in\s+contrast\s+(?:to|with)(?!\s+(?:leads?\s+)?(?:I{1,3}|aV[RLF]|V\d)\b)|contrary\s+to|differs?\s+from|distinguish\w*\s+(?:\w+\s+)?from)(?:\s+(?:in|with|the|a|an))*"
PREVIOUSLY = r"previously|formerly"
# What a limit is good for: "A QRS wider than 120 ms defines bundle branch block".
DEFINES = r"defin(?:es?|ing)\b|constitutes?|(?:increases?|raises?|carr(?:y|ies)|confers?)\s+(?:the\s+|an?\s+)?(?:\w+\s+)?risk|(?:is|are)\s+(?:required|needed|necessary|called|termed|regarded\s+as|classified|diagnostic|associated\s+with)|means\b|warrants?|requires?|qualif(?:y|ies)\b|counts?\s+as"
SUSPECTED = (
    r"(?:was|were|had\s+been)\s+(?:suspected\s+)?(?:clinically|elsewhere)(?:\s+suspected)?|clinical\s+suspicion"
)
CHARACTERISED = r"(?:is|are)\s+(?:characteri[sz]ed|recogni[sz]ed|diagnosed|defined|distinguished)\s+(?:by|when|if|from)|means\s+(?:an?|that)\b"
GENERAL_AFTER = r"if\b|hallmarks?\s+of|(?:most\s+)?commonly\s+(?:due|caused)|would\b|should\b|typically|usually|(?:can|could|may|might)\s+(?:also\s+)?(?:cause|lead\s+to|induce|produce|provoke|trigger|mimic|result\s+in|prolong)\b|generally|unless|(?:previous|prior|earlier|old)\s+(?:ECG|EKG|tracing|recording)s?|compared\s+(?:with|to)|recommend(?:ed|s)?|monitor(?:ing)?\b|when\s+the|(?:need|advised?)\s+to"
GENERAL = (
    ("record", OTHER_RECORD),
    ("former", FORMER_TIME),
    ("history", HISTORY),
    ("rejected", REJECTED),
    ("phrase", CONTRASTED),
    ("phrase", r"often\b"),
    ("previously", PREVIOUSLY),
    ("characterised", CHARACTERISED),
    ("definition", DEFINES),
    ("clause", SUSPECTED),
    ("clause", GENERAL_CLAUSE),
    ("after", GENERAL_AFTER),
)
REFERENCE = r"normal\s+(?:adult\s+)?(?:range|limit|value)s?|normal\s+intervals?(?=\s*(?:is|are|of|:|\()?\s*[\d<>≤≥])|normally|(?:reference|ref\.?|expected|typical|usual|physiologic(?:al)?)\s*(?:ranges?|values?|limits?|intervals?)?(?:\s+of)?(?=[\s:(]*[\d<>≤≥])|(?:upper|lower)\s+(?:normal\s+)?(?:limit|bound)(?:\s+of\s+normal)?|limit(?:\s+of\s+normal)?|threshold|cut-?off|criterion|criteria|ULN\b|LLN\b"
NORMAL_VARIANT = r"(?:can|may)\s+be\s+(?:a\s+)?normal|normal\s+(?:variants?|findings?)|variants?\s+of\s+(?:the\s+)?normal"  # says that what precedes is harmless
COMPARATOR_PHRASES: tuple[tuple[str, str], ...] = (
    ("not_more", r"(?:no|not)\s+(?:more|greater|longer|higher|larger|wider|faster)\s+than(?!\s+(?:normal|usual|expected))|not\s+(?:above|over|beyond(?!\s+(?:-\d|minus\s))|>(?!=))|not\s+exceed(?:ing)?|does\s+not\s+exceed|at\s+most|(?:up\s+to\s+)?a\s+maximum\s+of|<=|≤|=<"),
    ("not_less", r"(?:no|not)\s+(?:less|lower|shorter|smaller|narrower|slower|fewer)\s+than(?!\s+(?:normal|usual|expected))|not\s+(?:below|under|beyond(?=\s+(?:-\d|minus\s))|<(?!=))|at\s+least|(?:a\s+)?minimum\s+of|>=|≥|=>"),
    ("<", r"(?:(?:do(?:es)?|did)\s+not|doesn't|don't|never|fail(?:s|ed)?\s+to|fail(?:s|ed)?\s+short\s+of)\s+reach(?:es)?(?=\s+\d)"),
    ("max", r"up\s+to|down\s+to|maximal(?:ly)?|maximum|peak(?:ing)?\s+(?:at|of)|max\b|as\s+(?:much|high|low|deep)\s+as|reaching|deepest|most\s+(?:marked|pronounced)(?:\s+in)?"),
)  # fmt: skip
# An axis: more negative is further to the left.
AXIS_COMPARATORS: tuple[tuple[str, str], ...] = (
    ("<", r"(?:(?:further|more)\s+)?(?:left(?:ward)?s?|to\s+the\s+left)\s+(?:of|than)(?=\s+(?:-|minus\s|plus\s|\+)?\s*\d)|more\s+negative\s+than|beyond(?=\s+(?:-\d|minus\s))"),
    (">", r"(?:(?:further|more)\s+)?(?:right(?:ward)?s?|to\s+the\s+right)\s+(?:of|than)(?=\s+(?:-|minus\s|plus\s|\+)?\s*\d)|more\s+positive\s+than"),
)  # fmt: skip
COMPARATORS: tuple[tuple[str, str], ...] = (
    (">", r">|(?:greater|more|longer|higher|larger|wider|faster)\s+than|exceed(?:s|ing|ed)?|above|over\b|beyond|in\s+excess\s+of|surpass(?:es|ing)?"),
    ("<", r"<|(?:less|shorter|lower|smaller|fewer|narrower|slower)\s+than|below|under\b|short\s+of"),
    ("~", r"~|≈|≃|approximately|approx\.?|about|around|roughly|nearly|almost|close\s+to|circa|ca\.|some\b|or\s+so|near(?=\s+\d)|in\s+the\s+region\s+of|on\s+the\s+order\s+of"),
    ("between", r"between|ranging\s+(?:from|between)|ranges?\s+(?:from|between)|from(?=\s+-?\d)|var(?:ies|ying)\s+(?:from|between)(?!\s+beat)"),
)  # fmt: skip
VERBS = r"shows?|showing|demonstrat(?:es?|ing)|exhibits?|displays?|reveals?|ha(?:s|ve)\b|presents?\s+with|manifests?|features?\b|there\s+(?:is|are)|contains?"
BE = r"(?:is|are|was|were|remains?|being|measur(?:es|ed|ing)|=)(?!\w)"
PRESENT = r"present|visible|seen|observed|evident|noted|identif(?:ied|iable)|detected|discernible|clear(?:ly)?|apparent|found|followed\s+by|preced(?:es?|ing|ed)|(?:in\s+front\s+of|before|for)\s+(?:each|every)(?:\s+QRS(?:\s+complex)?)?"
BREAKS = r"but\b|however|whereas|while\b|although|though\b|yet\b|on\s+the\s+other\s+hand|in\s+contrast|nevertheless|instead\b"
CALIBRATION = r"300[\s-]+(?:rule|method)|\d+(?:\.\d+)?\s*mm\s*/\s*(?:s(?:ec(?:ond)?)?|mV)\b|\d+(?:\.\d+)?\s*Hz\b|(?:12|twelve)[\s-]*leads?(?:\s+(?:ECG|EKG))?|\d+[\s-]*(?:year|yr)s?(?:[\s-]*old)?|\d+(?:\.\d+)?\s*%|\d\s*:\s*\d(?:\s+(?:AV\s+)?(?:conduction|block))?|\d+(?:\.\d+)?\s*-?\s*s(?:ec(?:ond)?s?)?\s+(?:rhythm\s+)?(?:strip|recording|tracing|rhythm|ECG)|\d{4}-\d\d-\d\d"
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
# Squares of the paper, in small ones, and decades: `four small squares`, `the low seventies`, `the mid 80s`.
SQUARES = (
    (1, r"(?:small|little|tiny)\s+(?:squares?|box(?:es)?|blocks?)"),
    (5, r"(?:large|big)\s+(?:squares?|box(?:es)?|blocks?)"),
)
DECADE_WORDS = {
    "teens": 10, "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80, "nineties": 90,
    "hundreds": 100,
}  # fmt: skip
_DECADE = (
    rf"(?:(?:one|two)[\s-](?:hundred[\s-](?:and[\s-])?)?)?(?:{'|'.join(DECADE_WORDS)})"
    r"|(?:[23456789]0|1[0123456789]0|[23456789]00)'?s(?!\s+(?:\w+\s+)?(?:strip|recording|tracing|window|segment|episode|ECG|EKG))"
)
_PART_OF_DECADE = r"(?:low|lower|mid|middle|high|upper)(?:[\s-]+to[\s-]+(?:mid|middle|high|upper))?"
DECADE = rf"{_PART_OF_DECADE}[\s-]*(?:{_DECADE})|(?<=\bin\sthe\s)(?:{_DECADE})"
FORMULAS = (("bazett", r"bazett(?:'s)?"), ("fridericia", r"fridericia(?:'s)?"))


def _entries(tag: str, table: Iterable[tuple[Any, str]], capitals: bool = False) -> list[tuple[str, Any, str]]:
    return [(tag, value, pattern if capitals else f"(?i:{pattern})") for value, pattern in table]


def _terms(exact: bool) -> list[tuple[Any, str]]:
    return [
        ((finding.kind, words.value), words.pattern)
        for finding in FINDINGS
        for words in finding.words
        if words.exact == exact
    ]


# (tag, value, pattern)
VOCABULARY: list[tuple[str, Any, str]] = [
    *_entries("skip", ((None, NORMAL_VARIANT),)),
    *_entries("qual", COMPARED_QUALITIES),
    *_entries("present", ((None, r"(?:never|not|nowhere)\s+(?:missing|absent|lacking)"),)),
    *_entries("squares", SQUARES),
    *_entries("decade", ((None, DECADE),)),
    *_entries("neg", NEGATION_PHRASES),
    *_entries("cmp", COMPARATOR_PHRASES),
    *_entries("cmp", AXIS_COMPARATORS),
    *_entries("qual", QUALITY_PHRASES),
    *_entries("general", GENERAL),
    *_entries("ref", ((None, REFERENCE),)),
    *_entries("term", ((("abnormal_ecg", True), ABNORMAL_ECG),)),
    *_entries("term", _terms(exact=False)),
    *_entries("term", _terms(exact=True), capitals=True),
    *_entries("neg", NEGATIONS),
    *_entries("subj", COMPOUND_SUBJECTS),
    *_entries("subj", ((finding.kind, finding.named) for finding in FINDINGS if finding.named)),
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
_RATIO_OF_BLOCK = re.compile(r"[3-9]\s*:\s*1(?=\s+(?:AV|A-V)[\s-]*block\b)", re.IGNORECASE)
_CONDUCTED, _CONDUCTED_WITHIN = re.compile(r"\b(?:flutter|tachycardia|fibrillation)\b", re.IGNORECASE), 40


@cache
def _patterns_from(letter: str) -> re.Pattern[str]:
    """All of the vocabulary that can begin with a character; a fraction of it, so that a match is fast."""
    groups = [
        f"(?P<g{i}>(?:{part}){_WORD_END})"
        for i, (_, _, pattern) in enumerate(VOCABULARY)
        if (part := _beginning_with(pattern, letter.lower()))
    ]
    return re.compile("|".join(groups) or r"(?!)")


def _beginning_with(pattern: str, letter: str) -> str:
    """The alternatives of a pattern, also within its leading brackets, that can begin with a lower-case letter."""
    parts = []
    for alternative in _split(pattern):
        if {letter, ""}.isdisjoint(_first_letters(alternative)):
            continue
        group, quantifier, rest = _first_group(alternative)
        if group is not None and not quantifier:
            opening = alternative[: alternative.index(":") + 1]
            alternative = f"{opening}{_beginning_with(group, letter)}){rest}"
        parts.append(alternative)
    return "|".join(parts)


@cache
def _first_letters(pattern: str) -> frozenset[str]:
    """The characters, in lower case, that a match can begin with; `""` where that is not a plain letter or sign."""
    letters: set[str] = set()
    for alternative in _split(pattern):
        rest: str | None = alternative
        while rest is not None:
            first, rest = _first_atom(rest)
            letters |= first
    return frozenset(letters)


_ASSERTION = re.compile(r"\\b|\(\?<[!=](?:\\.|[^()\\])*\)")
_CLASS = re.compile(r"\[((?:\\.|[^\]\\])+)\]")


def _first_atom(pattern: str) -> tuple[set[str] | frozenset[str], str | None]:
    """What the first atom of a pattern can begin with, and the rest of the pattern where a match can go on to it."""
    assertion = _ASSERTION.match(pattern)
    if assertion is not None:
        return set(), pattern[assertion.end() :]
    group, quantifier, rest = _first_group(pattern)
    if group is not None:
        return _first_letters(group), rest if quantifier in ("?", "*") else None
    members = _CLASS.match(pattern)
    if members is not None:
        # No word begins with a space; a hyphen at the end is one, elsewhere it makes a range.
        characters = members[1].replace(r"\s", "")
        letters = {""} if "\\" in characters or "-" in characters[:-1] else set(characters.lower())
        end = members.end()
    else:
        letters = {pattern[:1].lower() if pattern[:1].isalnum() or pattern[:1] in "<>~=&≤≥≈≃↑↓" else ""}
        end = 1
    return letters, pattern[end + 1 :] if pattern[end : end + 1] in ("?", "*") else None


@cache
def _split(pattern: str) -> tuple[str, ...]:
    """The alternatives of a pattern: what stands between `|` outside of all brackets."""
    parts, depth, start = [], 0, 0
    for i, character in enumerate(_structure(pattern)):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append(pattern[start:i])
            start = i + 1
    return (*parts, pattern[start:])


@cache
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
    """Numbers that are not measurements: paper speed, gain, age, `12-lead`, `10 s strip`, the conduction of flutter."""
    match = _CALIBRATION.match(text, position)
    if match is None:
        return None
    block = _RATIO_OF_BLOCK.match(text, position)  # "3:1 AV block" is one, "atrial flutter with 3:1 AV block" is not
    if block is None or _CONDUCTED.search(text[max(position - _CONDUCTED_WITHIN, 0) : position]):
        return Token("skip", None, match.start(), match.end())
    return Token("skip", None, block.start(), block.end())


def match_word(text: str, position: int) -> Token | None:
    """The vocabulary's token at `position`, if there is one."""
    match = _patterns_from(text[position]).match(text, position)
    if match is None or match.end() == position:
        return None
    tag, value, _ = VOCABULARY[int(str(match.lastgroup)[1:])]
    return Token(tag, value, match.start(), match.end())


__all__ = ["CALIBRATION", "VOCABULARY", "Token", "match_calibration", "match_word"]
