# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/features.png`: simulated ECGs, the waves that were found and the simulator's truth.

Run it from the project's folder: `python -m docs.make_features`.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from processing.ecg_features import extract_features
from processing.ecg_features_plot import COLOURS
from processing.simulator.simulator import SimulatedEcg, simulate_ecg

LEADS = ("II", "V2")
START, STOP = 1.0, 5.0
GAIN, LEAD_MV, TRUTH_MV = 0.7, 2.4, -0.95
PANELS = {
    "Sinus rhythm": {},
    "Atrial fibrillation: no P waves": {"rhythm": "atrial_fibrillation"},
    "Complete AV block: P waves without QRS": {"rhythm": "av_block_3"},
    "Left bundle branch block": {"conduction": "lbbb"},
    "Anterior infarction: ST elevation": {"ischemia": "anterior_stemi"},
    "Hypokalaemia: the U wave is no T wave": {"repolarization": "hypokalemia", "heart_rate": 62},
    "Paced: QRS begins behind the spike": {"rhythm": "ventricular_paced"},
    "Ventricular bigeminy": {"rhythm": "bigeminy"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).with_name("features.png")
    parser.add_argument("--out", type=Path, default=default, help="the picture (default: beside this script)")
    options = parser.parse_args()
    figure = Figure(figsize=(14, 13), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(PANELS) // 2, 2)
    for axes, (title, arguments) in zip(grid.flat, PANELS.items(), strict=True):
        draw(axes, title, simulate_ecg(**arguments, seed=4))
    figure.supxlabel("s; colours: found by extract_features; bars below: the simulator's truth, lead by lead", size=10)
    figure.savefig(options.out, dpi=70)
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


def draw(axes, title: str, ecg: SimulatedEcg) -> None:
    features = extract_features(ecg.record)
    rate = ecg.record.sampling_rate
    time = np.arange(ecg.record.signal.shape[1]) / rate
    for number, lead in enumerate(LEADS):
        level = -number * LEAD_MV
        row = features.leads.index(lead)
        signal = ecg.record.lead(lead) - np.median(ecg.record.lead(lead))
        signal = np.clip(GAIN * signal, TRUTH_MV + 0.1, 1.3) + level
        axes.plot(time, signal, color="#444444", linewidth=0.7)
        axes.text(START + 0.02, level + 0.9, lead, fontsize=9, weight="bold")
        for wave, colour in COLOURS.items():
            marks = features.waves[wave][row]
            if wave == "P" and len(features.lone_p_waves):
                marks = np.concatenate([marks, features.lone_p_waves])
            for onset, _, offset in marks[np.isfinite(marks).all(axis=1)]:
                inside = (time >= onset) & (time <= offset)
                axes.plot(time[inside], signal[inside], color=colour, linewidth=1.9)
            truth = ecg.fiducials[wave][row]
            for onset, _, offset in truth[np.isfinite(truth).all(axis=1)]:
                axes.plot([onset, offset], [level + TRUTH_MV] * 2, color=colour, linewidth=4, alpha=0.45)
    axes.set_title(f"{title}\n{measured(features)}", fontsize=10, loc="left")
    axes.set_xlim(START, STOP)
    axes.set_ylim(-LEAD_MV * (len(LEADS) - 1) + TRUTH_MV - 0.15, 1.4)
    axes.set_yticks([])
    for edge in ("top", "right", "left"):
        axes.spines[edge].set_visible(False)


def measured(features) -> str:
    values = {"PR": features.pr_interval, "QRS": features.qrs_duration, "QT": features.qt_interval}
    words = [f"{name} {value:.0f} ms" if np.isfinite(value) else f"no {name}" for name, value in values.items()]
    return f"{features.heart_rate:.0f}/min, {', '.join(words)}, ST V2 {features.st_level['V2']['J+60']:+.2f} mV"


if __name__ == "__main__":
    main()
