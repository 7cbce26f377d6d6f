# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The patterns of the simulator: ventricular activation, injury, repolarisation and atria as dipoles, with their names.

Dipoles are (x, y, z) in mV: x to the left, y to the feet, z to the back (Frank's axes). Times are shares of the wave.
"""

from dataclasses import dataclass, field

import numpy as np

# Dower's matrix (Dower, Machado and Osborne 1980): I, II, V1-V6 from the dipole.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Activation:
    """A QRS complex: raised-cosine lobes (centre, half width, dipole), usual duration in s, discordant T or not."""

    lobes: tuple[tuple[float, float, Vector], ...]
    duration: tuple[float, float]
    discordant_t: bool = False


NORMAL = Activation(
    (
        (0.17, 0.17, (-0.14, 0.02, -0.24)),
        (0.40, 0.22, (0.78, 0.62, -0.02)),
        (0.50, 0.22, (0.62, 0.50, 0.55)),
        (0.66, 0.22, (0.05, 0.12, 0.62)),
        (0.86, 0.14, (-0.16, -0.14, 0.12)),
    ),
    (0.072, 0.088),
)

CONDUCTION = {
    "normal": NORMAL,
    "incomplete_rbbb": Activation(
        (*NORMAL.lobes[:4], (0.84, 0.16, (-0.30, -0.05, -0.34))),
        (0.090, 0.100),
    ),
    "rbbb": Activation(
        (
            (0.10, 0.10, (-0.14, 0.02, -0.24)),
            (0.27, 0.17, (0.95, 0.70, 0.15)),
            (0.42, 0.16, (0.30, 0.25, 0.55)),
            (0.64, 0.20, (-0.34, -0.02, -0.62)),
            (0.82, 0.18, (-0.26, -0.02, -0.42)),
        ),
        (0.122, 0.142),
        True,
    ),
    "lbbb": Activation(
        (
            (0.15, 0.15, (0.35, 0.12, 0.40)),
            (0.34, 0.19, (0.75, 0.14, 0.95)),
            (0.62, 0.22, (0.95, 0.04, 0.95)),
            (0.84, 0.16, (0.35, -0.08, 0.35)),
        ),
        (0.126, 0.148),
        True,
    ),
    # Raised cosines half a width apart add up to a flat top.
    "rbbb_dome": Activation(
        (
            (0.08, 0.08, (-0.14, 0.02, -0.24)),
            (0.21, 0.14, (0.95, 0.70, 0.15)),
            (0.34, 0.14, (0.30, 0.25, 0.55)),
            *((centre, 0.15, (-0.36, -0.02, -0.66)) for centre in (0.55, 0.70, 0.85)),
        ),
        (0.140, 0.200),
        True,
    ),
    "rbbb_notched": Activation(
        (
            (0.08, 0.08, (-0.14, 0.02, -0.24)),
            (0.21, 0.14, (0.95, 0.70, 0.15)),
            (0.34, 0.14, (0.30, 0.25, 0.55)),
            (0.55, 0.17, (-0.30, -0.02, -0.55)),
            (0.82, 0.18, (-0.38, -0.02, -0.68)),
        ),
        (0.140, 0.200),
        True,
    ),
    "lbbb_dome": Activation(
        (
            (0.12, 0.12, (0.30, 0.10, 0.35)),
            *((centre, 0.18, (0.95, 0.10, 1.05)) for centre in (0.28, 0.46, 0.64, 0.82)),
        ),
        (0.140, 0.200),
        True,
    ),
    "lbbb_notched": Activation(
        (
            (0.12, 0.12, (0.30, 0.10, 0.35)),
            (0.30, 0.20, (0.85, 0.14, 0.95)),
            (0.50, 0.16, (0.20, 0.03, 0.30)),
            (0.74, 0.26, (0.95, 0.02, 1.00)),
        ),
        (0.140, 0.200),
        True,
    ),
    "lafb": Activation(
        (
            (0.16, 0.16, (-0.12, 0.24, -0.22)),
            (0.42, 0.24, (0.85, -0.25, -0.05)),
            (0.58, 0.22, (0.55, -0.62, 0.45)),
            (0.78, 0.22, (0.18, -0.48, 0.40)),
        ),
        (0.082, 0.096),
    ),
    "lpfb": Activation(
        (
            (0.16, 0.16, (0.22, -0.24, -0.14)),
            (0.44, 0.26, (-0.10, 0.80, 0.10)),
            (0.62, 0.22, (-0.28, 0.75, 0.55)),
            (0.82, 0.18, (-0.22, 0.34, 0.20)),
        ),
        (0.082, 0.096),
    ),
    "wpw": Activation(
        (
            (0.28, 0.28, (0.28, 0.18, -0.10)),
            (0.56, 0.20, (0.85, 0.62, 0.10)),
            (0.70, 0.18, (0.35, 0.30, 0.60)),
            (0.88, 0.12, (-0.10, -0.10, 0.10)),
        ),
        (0.104, 0.118),
        True,
    ),
}
ECTOPIC = Activation(
    ((0.30, 0.30, (-0.45, 0.85, -0.70)), (0.60, 0.36, (-0.75, 0.95, -0.90)), (0.86, 0.14, (-0.2, 0.3, -0.3))),
    (0.130, 0.150),
    True,
)
PACED = Activation(
    ((0.30, 0.30, (0.35, -0.60, 0.50)), (0.58, 0.36, (0.60, -0.95, 0.95)), (0.84, 0.16, (0.2, -0.4, 0.4))),
    (0.134, 0.154),
    True,
)
PACED_FLAT = Activation(
    (
        (0.14, 0.14, (0.35, -0.55, 0.50)),
        *((centre, 0.18, (0.60, -0.95, 0.95)) for centre in (0.30, 0.48, 0.66)),
        (0.84, 0.16, (0.20, -0.35, 0.35)),
    ),
    (0.150, 0.190),
    True,
)
# A focus in the ventricles, which may lie anywhere: it is turned at random.
FOCUS = Activation(
    ((0.28, 0.28, (0.45, 0.55, 0.35)), (0.56, 0.30, (0.80, 1.05, 0.75)), (0.82, 0.18, (0.45, 0.30, 0.55))),
    (0.130, 0.170),
    True,
)
ESCAPE = Activation(CONDUCTION["lbbb"].lobes, (0.126, 0.144), True)


@dataclass(frozen=True)
class Pattern:
    """A change of the normal ECG. Dipoles add; factors multiply; durations replace.

    Attributes:
        label: SCP-ECG code as in PTB-XL. words: what the report says.
        q: dipole of the initial forces instead of the septal ones. lobe: dipole added at mid QRS.
        st: injury dipole, constant from J to the T wave. coved: one that falls from J to the peak of the T wave. t: T dipole instead of the usual one.
        t_gain, p_gain, qrs_gain, left_atrium, right_atrium: factors. t_width: of the T wave's usual duration.
        discordant_t: T against the QRS. qtc: Fridericia, s. qrs_stretch: factor of the QRS duration. u: dipole.
    """

    label: str
    words: str
    q: Vector | None = None
    lobe: Vector = (0.0, 0.0, 0.0)
    st: Vector = (0.0, 0.0, 0.0)
    coved: Vector = (0.0, 0.0, 0.0)
    t: Vector | None = None
    u: Vector | None = None
    t_gain: float = 1.0
    t_width: float = 1.0
    p_gain: float = 1.0
    qrs_gain: Vector = (1.0, 1.0, 1.0)
    qrs_stretch: float = 1.0
    left_atrium: float = 1.0
    right_atrium: float = 1.0
    discordant_t: bool = False
    qtc: tuple[float, float] | None = None
    extra_labels: tuple[str, ...] = field(default=())


ISCHEMIA = {
    "anterior_stemi": Pattern(
        "AMI",
        "Acute anterior myocardial infarction with ST elevation",
        q=(-0.10, 0.05, 0.42),
        st=(0.10, -0.02, -0.26),
        extra_labels=("STE_",),
    ),
    "inferior_stemi": Pattern(
        "IMI",
        "Acute inferior myocardial infarction with ST elevation",
        q=(0.12, -0.34, -0.12),
        st=(-0.02, 0.26, 0.04),
        extra_labels=("STE_",),
    ),
    "lateral_stemi": Pattern(
        "LMI",
        "Acute lateral myocardial infarction with ST elevation",
        q=(-0.30, 0.05, -0.10),
        st=(0.24, -0.10, 0.06),
        extra_labels=("STE_",),
    ),
    "posterior_infarction": Pattern(
        "PMI",
        "Posterior myocardial infarction with ST depression in V1 to V3",
        lobe=(0.0, 0.0, -0.45),
        st=(0.02, 0.04, 0.16),
        extra_labels=("STD_",),
    ),
    "old_anterior_infarction": Pattern(
        "ASMI", "Old anteroseptal infarction with Q waves", q=(-0.12, 0.05, 0.62), t=(0.16, 0.20, 0.16)
    ),
    "old_inferior_infarction": Pattern(
        "IMI", "Old inferior infarction with Q waves", q=(0.14, -0.75, -0.14), t=(0.28, -0.14, -0.12)
    ),
    "subendocardial_ischemia": Pattern(
        "ISC_", "ST depression suggesting subendocardial ischemia", st=(-0.14, -0.12, 0.06), extra_labels=("STD_",)
    ),
    "anterior_ischemia": Pattern(
        "ISCAN",
        "ST depression in the anterior leads suggesting ischemia",
        st=(-0.02, -0.01, 0.16),
        extra_labels=("STD_",),
    ),
    "inferior_ischemia": Pattern(
        "ISCIN",
        "ST depression in the inferior leads suggesting ischemia",
        st=(0.02, -0.17, 0.0),
        extra_labels=("STD_",),
    ),
    "lateral_ischemia": Pattern(
        "ISCLA",
        "ST depression in the lateral leads suggesting ischemia",
        st=(-0.18, 0.04, -0.04),
        extra_labels=("STD_",),
    ),
    "anterior_t_inversion": Pattern(
        "ISCAN", "Deep T inversion in the anterior leads suggesting ischemia", t=(-0.14, 0.10, 0.32)
    ),
}
HYPERTROPHY = {
    "lvh": Pattern("LVH", "Left ventricular hypertrophy by voltage", qrs_gain=(1.75, 1.1, 1.9)),
    "lvh_strain": Pattern(
        "LVH",
        "Left ventricular hypertrophy with secondary repolarisation changes",
        qrs_gain=(1.8, 1.1, 1.9),
        st=(-0.08, -0.03, -0.04),
        discordant_t=True,
        extra_labels=("STD_",),
    ),
    "rvh": Pattern(
        "RVH",
        "Right ventricular hypertrophy",
        qrs_gain=(0.25, 1.05, 0.35),
        lobe=(-0.55, 0.25, -0.70),
        t=(0.24, 0.10, 0.14),
    ),
    "left_atrial_enlargement": Pattern("LAO/LAE", "Left atrial enlargement", left_atrium=2.0),
    "right_atrial_enlargement": Pattern("RAO/RAE", "Right atrial enlargement", right_atrium=2.3),
}
REPOLARIZATION = {
    "long_qt": Pattern("LNGQT", "Prolonged QT interval", qtc=(0.490, 0.530)),
    "long_qt_u": Pattern(
        "LNGQT", "Prolonged QT interval with a U wave", qtc=(0.480, 0.520), t_gain=0.8, u=(0.09, 0.07, -0.08)
    ),
    "short_qt": Pattern("SHORTQT", "Short QT interval", qtc=(0.315, 0.335), t_width=0.85, t_gain=1.3),
    "hyperkalemia": Pattern(
        "EL",
        "Tall, narrow T waves and a widened QRS suggesting hyperkalemia",
        t_gain=2.6,
        t_width=0.68,
        p_gain=0.45,
        qrs_stretch=1.25,
    ),
    "hypokalemia": Pattern(
        "EL",
        "Flat T waves, U waves and ST depression suggesting hypokalemia",
        t_gain=0.28,
        u=(0.14, 0.11, -0.12),
        st=(-0.05, -0.04, 0.03),
    ),
    "hypercalcemia": Pattern("EL", "Short QT interval suggesting hypercalcemia", qtc=(0.335, 0.350), t_width=0.95),
    "hypocalcemia": Pattern(
        "EL", "Long ST segment and QT interval suggesting hypocalcemia", qtc=(0.480, 0.505), t_width=0.8
    ),
    "flat_t": Pattern("NDT", "Flat T waves", t_gain=0.25),
    "brugada_type_1": Pattern(
        "STE_",
        "Brugada type 1 pattern: coved ST elevation in V1 and V2",
        coved=(-0.14, 0.0, -0.26),
        t=(0.30, 0.21, 0.20),
    ),
    "early_repolarization": Pattern("STE_", "Early repolarisation", st=(0.09, 0.05, -0.07), t_gain=1.4),
}
CONDUCTION_WORDS = {
    "normal": (None, ""),
    "incomplete_rbbb": ("IRBBB", "Incomplete right bundle branch block"),
    "rbbb": ("CRBBB", "Complete right bundle branch block"),
    "lbbb": ("CLBBB", "Complete left bundle branch block"),
    "rbbb_dome": ("CRBBB", "Complete right bundle branch block, R' in V1 with a flat top"),
    "rbbb_notched": ("CRBBB", "Complete right bundle branch block, R' in V1 notched"),
    "lbbb_dome": ("CLBBB", "Complete left bundle branch block, R in V6 with a flat top"),
    "lbbb_notched": ("CLBBB", "Complete left bundle branch block, R in V6 notched"),
    "lafb": ("LAFB", "Left anterior fascicular block"),
    "lpfb": ("LPFB", "Left posterior fascicular block"),
    "wpw": ("WPW", "Short PR and delta wave, ventricular pre-excitation"),
}

T_DIPOLE: Vector = (0.29, 0.21, -0.17)
P_RIGHT: Vector = (0.060, 0.095, -0.060)
P_LEFT: Vector = (0.065, 0.045, 0.050)

__all__ = [
    "CONDUCTION",
    "CONDUCTION_WORDS",
    "DOWER",
    "ECTOPIC",
    "ESCAPE",
    "FOCUS",
    "HYPERTROPHY",
    "ISCHEMIA",
    "NORMAL",
    "PACED",
    "PACED_FLAT",
    "P_LEFT",
    "P_RIGHT",
    "REPOLARIZATION",
    "T_DIPOLE",
    "Activation",
    "Pattern",
]
