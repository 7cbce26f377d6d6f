# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The rhythm corpus: beats keep their shapes and marks, waves that cannot be marked are excluded, the benchmark runs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from processing.simulator.simulator import simulate_ecg
from tests.helpers.averaged_beats import mark_by_average
from tests.helpers.delineation_scoring import match, read_ludb
from tests.helpers.retimed_beats import RATE, Beats, Piece, cut
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.rhythm_ecgs import READERS_MARGIN_S, SIMULATED, first_of, hidden_p, last_of, simulated_rhythm
from tests.helpers.shared_data import shared_path

ROOT = Path(__file__).parents[2]
WITHOUT_P = ("SVT", "VT", "ventricular pacing, bipolar")


@pytest.fixture(scope="module")
def ludb():
    return read_ludb(shared_path("data/ludb/data"), every=3)


@pytest.fixture(scope="module")
def beats(ludb):
    return Beats.of(ludb)


def test_cut_out_beats_begin_and_end_at_rest_and_keep_their_shape(ludb):
    pieces = 0
    for record in [record for record in ludb if not any("pacing" in comment for comment in record.comments)][:12]:
        source = cut(record)
        for piece in source.conducted + source.ventricular:
            assert not piece.signal[:, [0, -1]].any()
            first, last = first_of(piece.marks["QRS"]), last_of(piece.marks["QRS"])
            for lead in range(12):
                onset, peak, offset = piece.marks["QRS"][lead]
                if np.isfinite(peak):
                    assert onset <= peak <= offset < piece.signal.shape[1]
                    slope = np.abs(np.diff(piece.signal[lead]))
                    size = np.ptp(piece.signal[lead, max(int(onset), 0) : int(offset) + 1])
                    assert first - 10 <= slope.argmax() <= last + 10 or size < 0.3
            pieces += 1
    assert pieces > 40


def test_a_stretched_beat_has_the_wanted_qt_and_the_same_qrs(beats):
    piece = beats.narrow[0].conducted[0]
    for wanted in (0.30, 0.55):
        longer = piece.with_qt(wanted)
        assert longer.qt_s == pytest.approx(wanted, abs=0.004) and longer.qrs_s == pytest.approx(piece.qrs_s, abs=0.02)
        assert np.nanmax(np.abs(longer.signal)) == pytest.approx(np.abs(piece.signal).max(), rel=0.05)


@pytest.mark.parametrize("group", RETIMED)
def test_the_marks_of_a_retimed_record_sit_on_its_beats(group, beats):
    truth = RETIMED[group](np.random.default_rng(1), beats)
    signal = truth.ecg.signal - np.median(truth.ecg.signal, axis=1, keepdims=True)
    assert signal.shape == (12, 5000) and np.isfinite(signal).all() and len(truth.beat_times) >= 4
    spikes = np.round(truth.spikes * RATE).astype(int)
    steep = np.abs(np.diff(signal, axis=1))
    for shift in range(-2, 3):  # the spikes themselves are no part of any wave
        steep[:, np.clip(spikes + shift, 0, steep.shape[1] - 1)] = 0
    inside = np.zeros(steep.shape, dtype=bool)
    for lead, marks in enumerate(truth.ecg.marks):
        for first, _, last in marks["QRS"]:
            inside[lead, int(first) : int(last) + 1] = True
    scored = slice(*truth.ecg.marks[0]["span"].astype(int))
    steepest = np.sort(steep[:, scored], axis=1)[:, -40:].mean(axis=1)
    elsewhere = np.where(inside, 0, steep)[:, scored].mean(axis=1)
    assert np.median(steepest / elsewhere) > 8
    lead_i, lead_ii, lead_iii = truth.ecg.signal[:3]
    assert (
        np.abs(lead_iii - lead_ii + lead_i).max() < 0.1 * np.abs(lead_ii).max() + 0.05
    )  # LUDB's own leads to its steps


@pytest.mark.parametrize("group", WITHOUT_P)
def test_beats_are_put_without_their_p_waves(group, beats):
    truth = RETIMED[group](np.random.default_rng(2), beats)
    assert not truth.has_p and not any(len(marks["P"]) for marks in truth.ecg.marks)
    assert not any(len(spans["P"]) for spans in truth.excused)


def test_rates_and_spikes_of_retimed_rhythms(beats):
    for seed in range(6):
        fast = RETIMED["SVT"](np.random.default_rng(seed), beats)
        assert 145 < 60 / np.diff(fast.beat_times).mean() < 225
        wide = RETIMED["VT"](np.random.default_rng(seed), beats)
        assert 110 < 60 / np.diff(wide.beat_times).mean() < 225
        both = RETIMED["dual pacing, unipolar"](np.random.default_rng(seed), beats)
        assert abs(len(both.spikes) - 2 * len(both.beat_times)) <= 3
        jumps = np.abs(np.diff(both.ecg.signal, axis=1)).max(axis=0)
        assert all(jumps[round(spike * RATE) - 1] > 1 for spike in both.spikes if spike > 0)


def test_a_p_wave_within_a_t_wave_is_hidden_and_one_beside_it_is_not():
    def wave(first, last):
        return np.tile([first, (first + last) / 2, last], (12, 1)).astype(float)

    placed = {"P": np.stack([wave(100, 150), wave(310, 360), wave(395, 445)]), "QRS": wave(200, 240)[None]}
    placed["T"] = wave(300, 400)[None]
    assert hidden_p(placed).tolist() == [False, True, False]


@pytest.mark.parametrize("group", SIMULATED)
def test_simulated_truth_excuses_what_is_hidden_and_marks_the_rest(group):
    truth = simulated_rhythm(group, 2)
    unled = not truth.has_p
    for marks, excused in zip(truth.ecg.marks, truth.excused, strict=True):
        first, last = marks["span"]
        for wave in ("P", "QRS", "T"):
            assert ((marks[wave][:, 1] >= first) & (marks[wave][:, 1] <= last)).all()
        for start, end in excused["P"]:
            assert not ((marks["P"][:, 1] > start) & (marks["P"][:, 1] < end)).any()
    if unled and group not in ("complete AV block", "VT, dissociated P"):
        assert not any(len(marks["P"]) for marks in truth.ecg.marks)


def test_readers_mark_a_qrs_before_its_lead_leaves_rest(ludb):
    """The margin that simulated marks are given: from a reader's onset until a lead leaves 3 % of its peak."""
    early = []
    for record in ludb:
        for lead, marks in enumerate(record.marks):
            onsets = marks["QRS"][np.isfinite(marks["QRS"]).all(axis=1), 0].astype(int)[1:-1]
            p_ends = marks["P"][np.isfinite(marks["P"][:, 2]), 2]
            gaps = [onset - p_ends[p_ends < onset].max() for onset in onsets if (p_ends < onset).any()]
            if len(onsets) < 4 or (gaps and np.median(gaps) < 20):
                continue
            beats = np.stack([record.signal[lead, onset - 20 : onset + 80] for onset in onsets])
            median = np.median(beats - beats[:, :10].mean(axis=1, keepdims=True), axis=0)
            above = np.abs(median) > max(0.03 * np.abs(median).max(), 0.010)
            held = np.convolve(above, np.ones(5), "valid") == 5
            if median[:10].std() < 0.008 and held[10:60].any():
                early.append((held[10:60].argmax() - 10) / RATE)
    assert len(early) > 150
    assert np.median(early) == pytest.approx(READERS_MARGIN_S, abs=0.003)


def test_marks_of_the_median_beat_are_near_the_simulated_waves():
    marked = 0
    for seed in range(8):
        ecg = simulate_ecg(heart_rate=62, seed=seed)
        found = mark_by_average(np.asarray(ecg.record.signal, dtype=float), "simulated")
        if found is None:
            continue
        marked += 1
        for wave, tolerance in (("P", 0.04), ("QRS", 0.04), ("T", 0.04)):
            for lead in (1, 7, 10):
                truth = ecg.fiducials[wave][lead, :, 1]
                peaks = found.marks[lead][wave][:, 1] / RATE
                truth = truth[np.isfinite(truth) & (truth > 1.5) & (truth < 8.5)]
                assert len(match(truth, peaks, tolerance)) >= 0.8 * len(truth)
    assert marked >= 5
    assert mark_by_average(np.asarray(simulate_ecg("atrial_fibrillation", seed=1).record.signal, float), "AF") is None
    assert mark_by_average(np.random.default_rng(0).normal(0, 0.1, (12, 5000)), "noise") is None


def test_the_piece_of_a_wave_knows_where_it_begins():
    marks = np.full((12, 3), np.nan)
    marks[:8] = (10, 20, 40)
    piece = Piece(np.zeros((12, 60)), {"QRS": marks, "T": marks + 15})
    assert piece.onset == 10 and first_of(marks) == 10 and last_of(marks) == 40 and piece.qrs_s == pytest.approx(0.06)


def test_benchmark_prints_a_row_for_every_group():
    command = [sys.executable, "-m", "benchmarks.rhythms", "--seeds", "1", "--truth", "simulated", "ludb"]
    command += ["--shared", str(shared_path("data/ludb/data").parents[2])]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [line for line in run.stdout.splitlines() if " simulated " in line or " ludb " in line]
    assert len(rows) == len(SIMULATED) + len(RETIMED)
    for line in rows:
        assert line.split("|")[0].split()[-1] == "1" and line.count("|") == 6
        shares = [float(value) for value in line.split("|")[1].split() if value != "-"]
        assert len(shares) >= 2 and all(0 <= share <= 1 for share in shares)
