# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Wordings of ECG statements for the validation of the grounding check: templates, free wordings, a held-back set.

`{v}` a value with unit, `{low}`/`{high}` a range, `{leads}` leads, `{wall}` a wall (`inferior`), `{word}` a word of the
fact, `{beat}`, `{time}`. `TEMPLATES` is the plain form of every fact. `FREE` and the held-back sets before the last were
looked at while the checker was developed; `HELD_BACK` is only scored.
"""

# Fact -> wordings. A name after `|` in the key is a variant of the fact that its sentences state.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "heart_rate": ("Heart rate: {v}.", "The heart rate is {v}.", "HR {v}."),
    "pr_interval": ("PR interval: {v}.", "The PR interval is {v}.", "PR {v}."),
    "qrs_duration": ("QRS duration: {v}.", "The QRS duration is {v}.", "QRS {v}."),
    "qt_interval": ("QT interval: {v}.", "The QT interval is {v}.", "QT {v}."),
    "qtc_interval": ("QTc: {v}.", "The QTc interval is {v}.", "QTc {v}."),
    "qrs_axis": ("Axis: {v}.", "The QRS axis is {v}.", "The electrical axis is {v}."),
    "sokolow_lyon": ("Sokolow-Lyon {v}.", "The Sokolow-Lyon index is {v}."),
    "heart_rate|word": ("The heart rate is {word}.", "There is {noun}."),
    "pr_interval|word": ("The PR interval is {word}.", "{Word} PR interval."),
    "qrs_duration|word": ("The QRS complex is {word}.", "{Word} QRS."),
    "qtc_interval|word": ("The QTc is {word}.", "{Word} QTc interval."),
    "qrs_axis|word": ("The axis is {word}.", "{phrase}."),
    "rhythm": ("Rhythm: {word}.", "The rhythm is {word}."),
    "regularity": ("The rhythm is {word}.", "{Word} rhythm."),
    "p_waves|present": ("P waves are present.", "P waves are visible before each QRS."),
    "p_waves|absent": ("P waves are absent.", "There are no P waves."),
    "st_elevation": ("ST elevation in {leads}.", "There is ST elevation in {leads}.", "ST: elevated in {leads}."),
    "st_elevation|wall": ("ST elevation in the {wall} leads.", "{Wall} ST elevation."),
    "st_elevation|size": ("ST elevation of {v} in {leads}.", "ST elevated by {v} in {leads}."),
    "st_elevation|none": ("No ST elevation.", "There is no ST elevation in {leads}."),
    "st_depression": ("ST depression in {leads}.", "There is ST depression in {leads}."),
    "st_depression|none": ("No ST depression.", "There is no ST depression in {leads}."),
    "t_inversion": ("T wave inversion in {leads}.", "T waves: inverted in {leads}.", "T waves are inverted in {leads}."),
    "t_inversion|wall": ("T wave inversion in the {wall} leads.", "{Wall} T wave inversion."),
    "t_inversion|none": ("No T wave inversion in {leads}.", "T waves are upright in {leads}."),
    "pathological_q": ("Pathological Q waves in {leads}.", "Q waves: pathological in {leads}."),
    "pathological_q|none": ("No pathological Q waves in {leads}.", "There are no Q waves in {leads}."),
    "lbbb": ("Left bundle branch block.", "Complete left bundle branch block."),
    "rbbb": ("Right bundle branch block.", "Complete right bundle branch block."),
    "av_block": ("First degree AV block.", "There is first-degree AV block."),
    "lvh": ("Left ventricular hypertrophy.", "LVH by voltage."),
    "lvh|none": ("No left ventricular hypertrophy.", "No LVH."),
    "beat_time": ("Lead II, beat {beat} at {time} s.", "Beat {beat} at {time} s."),
    "infarction": ("{Wall} myocardial infarction.", "Acute {wall} infarction."),
}  # fmt: skip

FREE: dict[str, tuple[str, ...]] = {
    "heart_rate": (
        "the ventricular rate is approximately {v}", "with a rate of {v}", "a mean heart rate of about {v}",
        "beating at {v}", "{v} is the heart rate", "the rate lies between {low} and {high}", "HR = {v}", "HR~{v}",
        "the heart rate, which averages {v}, was taken from lead II", "rate: around {v}", "heart rate {low}-{high} bpm",
        "heart rate {v} (normal 60-100 bpm)",
    ),
    "pr_interval": (
        "the PR interval measures {v}", "a PR of {v} (normal range 120-200 ms)", "PR is about {v}", "P-R interval = {v}",
        "the PQ time is {v}", "AV conduction time of {v}", "with a {v} PR interval", "PR between {low} and {high} ms",
        "the PR interval ranges from {low} to {high} ms", "PR interval (lead II): {v}", "PR: {v} [ref. 120-200 ms]",
    ),
    "qrs_duration": (
        "the QRS complexes last {v}", "a QRS width of {v}", "QRS ~ {v}", "the QRS measures roughly {v}",
        "QRS duration {v} (reference < 120 ms)", "ventricular depolarisation with a QRS of {v}", "QRSd {v}",
        "QRS between {low} and {high} ms", "with a {v} QRS complex", "the duration of the QRS complex is {v}",
    ),
    "qt_interval": (
        "the QT interval is around {v}", "QT = {v}", "a QT of {v}", "the measured QT interval comes to {v}",
        "uncorrected QT {v}", "QT {low}-{high} ms", "the QT is {v} at this rate",
    ),
    "qtc_interval": (
        "the corrected QT is {v}", "QTc (Bazett) {v}", "QTc {v} by Bazett's formula", "a QTc of approximately {v}",
        "rate-corrected QT interval of {v}", "QTc: {v} (normal < 450 ms)", "QTcB {v}", "QTc is {v}, upper limit 460 ms",
    ),
    "qrs_axis": (
        "the mean frontal axis is {v}", "an axis of {v}", "axis {v}", "the heart axis points to {v}",
        "QRS axis about {v}", "frontal plane axis: {v}", "an electrical axis around {v}",
    ),
    "sokolow_lyon": (
        "the Sokolow-Lyon voltage sums to {v}", "Sokolow index {v}", "Sokolow-Lyon criterion: {v}",
        "a Sokolow-Lyon value of {v} (limit 3.5 mV)",
    ),
    "heart_rate|word": ("{noun} is noted", "the ventricular rate is {word}", "the patient is in {noun}", "rate {word}"),
    "pr_interval|word": ("the PR is {word}", "a {word} PR interval is seen", "PR interval {word}", "AV conduction is {word}"),
    "qrs_duration|word": (
        "the ventricular complexes are {word}", "{word} QRS complexes throughout", "QRS is {word}", "with {word} QRS complexes",
    ),
    "qtc_interval|word": ("the corrected QT interval is {word}", "a {word} QTc is seen", "QTc {word}"),
    "qrs_axis|word": ("{phrase} is present", "the tracing shows {phrase}", "the QRS axis is {word}", "with {phrase}"),
    "rhythm": (
        "the underlying rhythm is {word}", "{word} is present", "this is {word}", "the tracing shows {word}",
        "the ECG demonstrates {word}", "findings are those of {word}", "{word} throughout the recording",
    ),
    "regularity": (
        "the R-R intervals are {word}", "the ventricular rhythm is {word}", "a {word} rhythm is seen", "{word} R-R intervals",
    ),
    "p_waves|present": (
        "P waves precede every QRS complex", "each QRS is preceded by P waves that are clearly visible", "upright P waves are seen before each QRS",
        "there are P waves in front of every QRS",
    ),
    "p_waves|absent": (
        "no P waves can be identified", "P waves are not discernible", "without visible P waves", "absence of P waves", "P waves cannot be identified",
        "discrete P waves are not seen",
    ),
    "st_elevation": (
        "ST-segment elevation is seen in {leads}", "leads {leads} show ST elevation", "the ST segments are elevated in leads {leads}",
        "elevation of the ST segment in {leads}", "in {leads}, the ST segment is raised", "there is marked ST elevation across {leads}",
        "STE in {leads}", "ST segments in {leads} are elevated", "ST-segment elevations ({leads})", "{leads}: ST elevated",
    ),
    "st_elevation|wall": (
        "the {wall} leads show ST elevation", "ST segments are elevated in the {wall} leads", "ST elevation over the {wall} wall",
        "{wall} ST-segment elevation is seen", "ST elevation is present in the {wall} territory",
    ),
    "st_elevation|size": (
        "{v} ST elevation in {leads}", "the ST segment is elevated by {v} in {leads}", "in {leads} the ST segment is elevated by about {v}",
        "ST elevation in {leads} ({v})", "ST elevation in {leads}, measuring {v}",
    ),
    "st_elevation|none": (
        "ST elevation is absent", "without ST elevation", "no significant ST-segment elevation is seen in {leads}",
        "the ST segments are not elevated in {leads}", "there is no evidence of ST elevation", "ST elevation is not seen in {leads}",
        "lack of ST elevation in {leads}",
    ),
    "st_depression": (
        "ST-segment depression is seen in {leads}", "leads {leads} exhibit ST depression", "the ST segments are depressed in {leads}",
        "horizontal ST depression in {leads}", "depressed ST segments in {leads}",
    ),
    "st_depression|none": (
        "ST depression is not present", "without ST depression in {leads}", "no ST-segment depression", "the ST segments in {leads} are not depressed",
    ),
    "t_inversion": (
        "inverted T waves in {leads}", "T waves in {leads} are inverted", "the T wave is negative in {leads}", "TWI in {leads}",
        "symmetrical T-wave inversions are seen in leads {leads}", "leads {leads} display inverted T waves", "inversion of the T waves in {leads}",
        "in leads {leads} there are negative T waves", "T-wave inversions {leads}",
    ),
    "t_inversion|wall": ("the {wall} leads show inverted T waves", "T waves are negative in the {wall} leads", "{wall} T-wave inversions are noted"),
    "t_inversion|none": (
        "upright T waves in {leads}", "no inverted T waves in {leads}", "the T waves in {leads} are upright", "T waves are not inverted in {leads}",
        "T-wave inversion is absent in {leads}",
    ),
    "pathological_q": (
        "pathologic Q waves are present in {leads}", "leads {leads} show Q waves", "deep Q waves in {leads}", "significant Q waves are noted in {leads}",
    ),
    "pathological_q|none": (
        "Q waves are absent in {leads}", "without pathological Q waves in {leads}", "no significant Q waves are seen in {leads}", "Q waves are not seen in {leads}",
    ),
    "lbbb": ("LBBB is present", "the QRS morphology is that of a left bundle branch block", "a complete LBBB pattern"),
    "rbbb": ("RBBB is present", "the QRS morphology is that of a right bundle branch block", "a complete RBBB pattern"),
    "av_block": ("a 1st degree AV block is present", "first-degree atrioventricular block", "1st-degree AV block is noted"),
    "lvh": ("voltage criteria for left ventricular hypertrophy are met", "LVH is suggested by the voltages", "signs of left ventricular hypertrophy"),
    "lvh|none": ("there are no signs of left ventricular hypertrophy", "criteria for LVH are not present", "without LVH"),
    "beat_time": ("beat {beat} (at {time} s) in lead V2", "the QRS of beat {beat} at {time} s", "in V5, beat {beat} at t = {time} s", "beat #{beat}, {time} s"),
    "infarction": ("findings consistent with an acute {wall} myocardial infarction", "suggesting {wall} infarction", "compatible with an {wall} STEMI"),
}  # fmt: skip

# Held back first: precision 0.910, recall 0.908 when first scored.
FIRST_HELD_BACK: dict[str, tuple[str, ...]] = {
    "heart_rate": (
        "the pulse rate works out at {v}", "ventricular frequency {v}", "the heart is going at a rate of {v}", "a resting heart rate close to {v} was recorded",
        "rate (from R-R): {v}", "we count a ventricular rate of {v}",
    ),
    "pr_interval": (
        "the interval from P to QRS, i.e. the PR interval, amounts to {v}", "PR interval stable at {v}", "PR duration: {v}", "the PR was measured as {v}",
        "normal values for PR are 120-200 ms; here the PR interval is {v}",
    ),
    "qrs_duration": (
        "QRS complex duration is estimated at {v}", "the QRS complex has a duration of {v}", "QRS interval {v}", "QRS spans {v}", "the width of the QRS is {v}",
    ),
    "qt_interval": ("the QT interval was found to be {v}", "QT duration {v}", "a QT interval near {v}"),
    "qtc_interval": ("QTc works out to {v} (Bazett)", "the heart-rate-corrected QT interval is {v}", "QTc interval: {v}, cut-off 450 ms", "corrected QT of {v}"),
    "qrs_axis": ("the axis of the QRS is {v}", "electrical axis estimated at {v}", "mean QRS axis = {v}"),
    "sokolow_lyon": ("S in V1 plus R in V5 (Sokolow-Lyon) amounts to {v}", "Sokolow-Lyon index of {v}"),
    "heart_rate|word": ("we see {noun}", "the heart rate is {word} for an adult", "{noun} was recorded"),
    "pr_interval|word": ("PR conduction appears {word}", "the PR interval looks {word}", "there is a {word} PR interval"),
    "qrs_duration|word": ("QRS complexes look {word}", "the QRS appears {word}", "there are {word} QRS complexes"),
    "qtc_interval|word": ("the QTc value is {word}", "the rate-corrected QT appears {word}"),
    "qrs_axis|word": ("there is {phrase}", "we note {phrase}", "{phrase} on this recording"),
    "rhythm": ("the patient is in {word}", "rhythm analysis reveals {word}", "{word} is recorded", "the rhythm strip is diagnostic of {word}"),
    "regularity": ("the beats come at {word} intervals", "R-R spacing is {word}", "the rhythm appears {word}"),
    "p_waves|present": ("a P wave is seen before every QRS", "P waves are easily identified", "P waves are found in front of each QRS complex"),
    "p_waves|absent": ("P waves are missing", "P waves cannot be seen", "there is a lack of P waves", "one finds no clear P waves"),
    "st_elevation": (
        "ST elevations are evident in {leads}", "one finds ST elevation in leads {leads}", "{leads} exhibit elevated ST segments", "in leads {leads} we find ST-segment elevation",
        "the ST segment lies above the baseline in {leads}",
    ),
    "st_elevation|wall": ("elevated ST segments in the {wall} leads", "the {wall} wall leads exhibit ST elevation", "ST elevation {wall}ly"),
    "st_elevation|size": ("the ST segment in {leads} is raised by {v}", "ST elevation amounting to {v} in {leads}", "{leads}: ST elevation, {v}"),
    "st_elevation|none": ("nowhere is there ST elevation", "free of ST elevation", "ST elevation could not be detected in {leads}", "leads {leads} show no ST elevation"),
    "st_depression": ("one sees ST depression in {leads}", "the ST segment lies below the baseline in {leads}", "{leads} display depressed ST segments"),
    "st_depression|none": ("leads {leads} show no ST depression", "ST depression is not observed in {leads}", "lacking ST depression"),
    "t_inversion": ("negative T waves are found in {leads}", "the T waves of {leads} are inverted", "{leads} have inverted T waves", "T inversion is observed in {leads}"),
    "t_inversion|wall": ("inverted T waves over the {wall} wall", "one sees T inversion in the {wall} leads"),
    "t_inversion|none": ("{leads} show upright T waves", "T waves remain positive in {leads}", "there is no T inversion in leads {leads}"),
    "pathological_q": ("Q waves of pathological size in {leads}", "abnormal Q waves appear in {leads}", "{leads} contain pathological Q waves"),
    "pathological_q|none": ("{leads} lack Q waves", "leads {leads} are free of pathological Q waves", "Q waves do not appear in {leads}"),
    "lbbb": ("conduction through the left bundle is blocked: LBBB", "the pattern fits left bundle-branch block"),
    "rbbb": ("conduction through the right bundle is blocked: RBBB", "the pattern fits right bundle-branch block"),
    "av_block": ("AV block of the first degree", "the delay qualifies as first degree AV block"),
    "lvh": ("the voltages fulfil LVH criteria", "there is left ventricular hypertrophy by voltage"),
    "lvh|none": ("LVH criteria are not met", "no hypertrophy of the left ventricle (no LVH)"),
    "beat_time": ("at {time} s, beat {beat} begins", "the complex number {beat} occurs at {time} s", "beat no. {beat} appears at {time} seconds"),
    "infarction": ("the picture of {wall} myocardial infarction", "this fits an {wall} infarct"),
}  # fmt: skip

# Held back second: precision 0.973, recall 0.993 when first scored.
SECOND_HELD_BACK: dict[str, tuple[str, ...]] = {
    "heart_rate": ("pulse {v}", "the ventricles depolarise at a rate of {v}", "estimated heart rate: {v}", "a rate of just about {v} is maintained"),
    "pr_interval": ("the PR interval averages {v}", "PR time: {v}", "atrioventricular conduction time, i.e. PR, of {v}", "PR interval {v} in lead II"),
    "qrs_duration": ("the QRS complexes measure {v} in width", "QRS breadth aside, the QRS duration equals {v}", "a QRS complex lasting {v}", "QRS: {v} wide"),
    "qt_interval": ("QT measured in lead II: {v}", "the QT amounts to {v}", "the QT interval equals {v}"),
    "qtc_interval": ("a Bazett-corrected QTc of {v}", "corrected for rate, the QTc is {v}", "QTc estimated to be {v}", "QTc {v} (upper limit of normal 450 ms)"),
    "qrs_axis": ("the QRS vector has an axis of {v}", "cardiac axis: {v}", "axis calculated as {v} in the frontal plane"),
    "sokolow_lyon": ("Sokolow-Lyon index calculated as {v}", "Sokolow-Lyon voltage = {v}"),
    "heart_rate|word": ("one observes {noun}", "the heart rate remains {word}"),
    "pr_interval|word": ("the PR interval was {word}", "one notes a {word} PR interval"),
    "qrs_duration|word": ("the QRS duration is {word}", "the complexes are {word}", "QRS complexes which are {word}"),
    "qtc_interval|word": ("QTc interval found to be {word}", "the corrected QT interval seems {word}"),
    "qrs_axis|word": ("the frontal axis is {word}", "evidence of {phrase}", "{phrase} can be seen"),
    "rhythm": ("rhythm identified as {word}", "consistent with {word}", "the trace is in keeping with {word}", "{word} with no other arrhythmia"),
    "regularity": ("R-R intervals appear {word}", "ventricular activity is {word}, the rhythm being {word}", "rhythm: {word}"),
    "p_waves|present": ("P waves are noted ahead of the QRS complexes", "distinct P waves are present", "P waves can be seen before all QRS complexes"),
    "p_waves|absent": ("no atrial activity (no P waves) is visible", "P waves: none", "P waves could not be identified", "P waves are nowhere to be seen"),
    "st_elevation": (
        "elevated ST segments are observed in {leads}", "ST-segment elevation involving {leads}", "{leads} reveal ST-segment elevation", "the ST segment of {leads} is raised",
        "we note ST elevation, seen in {leads}", "convex ST elevation ({leads})",
    ),
    "st_elevation|wall": ("ST elevation affecting the {wall} leads", "in the {wall} leads the ST segment is elevated", "there is {wall} ST elevation"),
    "st_elevation|size": ("ST elevation reaching {v} in {leads}", "in lead {leads} the ST segment rises {v} above the baseline", "{v} of ST elevation in {leads}"),
    "st_elevation|none": ("ST elevation: none", "not a single lead has ST elevation", "no elevation of the ST segment in {leads}", "the ST segment is not raised in {leads}"),
    "st_depression": ("downsloping ST depression in {leads}", "ST-segment depression involving {leads}", "{leads} reveal ST depression", "depression of the ST segment in {leads}"),
    "st_depression|none": ("no depression of the ST segment in {leads}", "ST depression is lacking in {leads}", "ST depression: none"),
    "t_inversion": ("T-wave negativity is not upright but inverted in {leads}", "the T waves invert in {leads}", "T waves that are inverted in {leads}", "inverted T ({leads})"),
    "t_inversion|wall": ("in the {wall} leads the T waves are inverted", "T inversion affecting the {wall} leads"),
    "t_inversion|none": ("T waves stay upright in {leads}", "T wave inversion is not seen in {leads}", "positive T waves in {leads}"),
    "pathological_q": ("Q waves meeting pathological criteria in {leads}", "Q waves, pathological in size, in {leads}", "wide Q waves in {leads}"),
    "pathological_q|none": ("there is no Q wave in {leads}", "Q waves are missing in {leads}", "absent Q waves in {leads}"),
    "lbbb": ("a left bundle branch block pattern", "LBBB morphology"),
    "rbbb": ("a right bundle branch block pattern", "RBBB morphology"),
    "av_block": ("a first degree AV block exists", "AV block I"),
    "lvh": ("LVH voltage criteria are fulfilled", "findings of left ventricular hypertrophy"),
    "lvh|none": ("left ventricular hypertrophy is not present", "voltage criteria for LVH are not fulfilled"),
    "beat_time": ("beat {beat}, located at {time} s", "beat {beat} (t = {time} s)", "beat {beat}, time {time} s"),
    "infarction": ("acute myocardial infarction of the {wall} wall", "an {wall} STEMI"),
}  # fmt: skip

# Written after the checker had been corrected on all of the above; only scored since.
HELD_BACK: dict[str, tuple[str, ...]] = {
    "heart_rate": ("the calculated ventricular rate = {v}", "heart rate, {v}", "rate {low} to {high} bpm", "this corresponds to a heart rate of {v}"),
    "pr_interval": ("PR interval duration {v}", "P-R: {v}", "the PR interval is fixed at {v}", "the PR interval is {v}, which lies in the usual range of 120 to 200 ms"),
    "qrs_duration": ("QRS complexes of {v}", "the QRS takes {v}", "QRS duration (normal up to 110 ms): {v}", "ventricular complexes lasting {v}"),
    "qt_interval": ("QT interval ({v})", "QT of about {v}", "the QT interval, {v}, was measured in V5"),
    "qtc_interval": ("QTc ({v})", "Bazett's QTc is {v}", "corrected QT interval = {v}", "the QTc stands at {v}"),
    "qrs_axis": ("frontal QRS axis {v}", "the axis sits at {v}", "axis of approximately {v}"),
    "sokolow_lyon": ("the Sokolow-Lyon sum reaches {v}", "Sokolow-Lyon: about {v}"),
    "heart_rate|word": ("the rhythm is accompanied by {noun}", "heart rate: {word}"),
    "pr_interval|word": ("PR interval - {word}", "the PR interval can be called {word}"),
    "qrs_duration|word": ("QRS complexes: {word}", "the QRS complex remains {word} in all leads"),
    "qtc_interval|word": ("the QTc interval can be regarded as {word}", "{word} QTc"),
    "qrs_axis|word": ("the recording is notable for {phrase}", "axis: {word}"),
    "rhythm": ("the predominant rhythm is {word}", "rhythm diagnosis: {word}", "the strip shows {word}", "{word} is the rhythm"),
    "regularity": ("the cycle lengths make it a {word} rhythm", "the ventricular response is {word}", "a {word} ventricular rhythm"),
    "p_waves|present": ("P waves are identifiable before the QRS", "we see P waves", "P waves are consistently present"),
    "p_waves|absent": ("P waves are lacking", "not a single P wave is visible", "the P waves are absent", "P-wave activity is absent: no P waves"),
    "st_elevation": (
        "ST elevation, leads {leads}", "ST-segment elevation is most obvious in {leads}", "the ST segments are displaced upward, i.e. elevated, in {leads}",
        "elevated ST in {leads}", "there are ST elevations in leads {leads}", "leads {leads} with ST elevation",
    ),
    "st_elevation|wall": ("ST elevation is seen {wall}ly", "ST-segment elevation in the {wall} wall leads", "{wall} leads: ST elevation"),
    "st_elevation|size": ("ST elevation in lead {leads} is {v}", "lead {leads} has {v} of ST elevation", "ST segment elevated {v} in {leads}"),
    "st_elevation|none": ("ST segments show no elevation in {leads}", "the tracing lacks ST elevation in {leads}", "no lead shows ST elevation", "{leads}: no ST elevation"),
    "st_depression": ("ST depression (leads {leads})", "the ST segments in {leads} are below the isoelectric line", "{leads}: ST depression", "depressed ST in {leads}"),
    "st_depression|none": ("{leads}: no ST depression", "we find no ST depression in {leads}", "no lead shows ST depression"),
    "t_inversion": ("{leads}: T wave inverted", "T waves show inversion in {leads}", "T-wave inversion can be seen in leads {leads}", "negative T in {leads}"),
    "t_inversion|wall": ("{wall} leads: T waves inverted", "there are {wall} T wave inversions"),
    "t_inversion|none": ("{leads}: T waves upright", "T wave polarity is positive in {leads}", "inverted T waves are not found in {leads}"),
    "pathological_q": ("{leads}: pathological Q waves", "there are Q waves in {leads}", "Q waves (pathological) in {leads}"),
    "pathological_q|none": ("{leads}: no Q waves", "we find no pathological Q waves in {leads}", "{leads} without Q waves"),
    "lbbb": ("findings typical of LBBB", "intraventricular conduction: left bundle branch block"),
    "rbbb": ("intraventricular conduction: right bundle branch block", "RBBB pattern"),
    "av_block": ("AV conduction: first-degree AV block", "1st degree block of the AV node, i.e. first degree AV block"),
    "lvh": ("the amplitude criteria point to LVH", "left ventricular hypertrophy is present"),
    "lvh|none": ("no LVH by voltage", "left ventricular hypertrophy is absent"),
    "beat_time": ("beat {beat} falls at {time} s", "the complex {beat} at {time} s", "see beat {beat} @ {time} s"),
    "infarction": ("{wall} wall myocardial infarction", "acute MI, {wall}"),
}  # fmt: skip

OPENINGS = ("", "", "", "", "Overall, ", "On this 12-lead ECG, ", "As for the measurements, ", "In summary, ", "Here, ", "At 25 mm/s, ", "- ", "* ", "1. ", "**Finding:** ")  # fmt: skip
CLOSINGS = (
    ".", ".", ".", "", "; please correlate clinically.", ", as read from the tracing.", " on this recording.", " (10 s strip at 25 mm/s, 10 mm/mV).",
    ". Follow-up is recommended if symptoms occur.", ".\n", ", which deserves attention.",
)  # fmt: skip

__all__ = ["CLOSINGS", "FIRST_HELD_BACK", "FREE", "HELD_BACK", "OPENINGS", "SECOND_HELD_BACK", "TEMPLATES"]
