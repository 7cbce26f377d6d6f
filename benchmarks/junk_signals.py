# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Signals that are not ECGs, drawn from a seed: noises, tones, other signals of the body, sounds; for `benchmarks.abstention`."""

from collections.abc import Callable

import numpy as np
from scipy import signal as dsp

from tests.helpers.disturbances import electrode_leads

RATE = 500
SAMPLES = 10 * RATE
ELECTRODES = ("RA", "LA", "LL", *(f"V{number}" for number in range(1, 7)))
Draw = Callable[[np.random.Generator, int], np.ndarray]  # (generator, rows) -> (rows, SAMPLES)
_TIME = np.arange(SAMPLES) / RATE


def _coloured(generator: np.random.Generator, rows: int, exponent: float) -> np.ndarray:
    """Noise whose power falls with the frequency to the power of `exponent`: 0 white, 1 pink, 2 a random walk."""
    frequency = np.maximum(np.fft.rfftfreq(2 * SAMPLES, 1 / RATE), 0.1)
    spectrum = np.fft.rfft(generator.normal(size=(rows, 2 * SAMPLES))) * frequency ** (-exponent / 2)
    return np.fft.irfft(spectrum)[:, :SAMPLES]


def _band(generator: np.random.Generator, rows: int, low: float, high: float) -> np.ndarray:
    sections = dsp.butter(2, [low, high], "band", fs=RATE, output="sos")
    return dsp.sosfiltfilt(sections, generator.normal(size=(rows, 3 * SAMPLES)))[:, SAMPLES : 2 * SAMPLES]


def _bursts(generator: np.random.Generator, rows: int) -> np.ndarray:
    """An envelope of bursts at random times, 0.1 to 1 s long."""
    envelope = np.zeros((rows, SAMPLES))
    for row in envelope:
        for _ in range(generator.integers(4, 20)):
            start, length = generator.integers(0, SAMPLES), generator.integers(50, 500)
            row[start : start + length] = 1
    return dsp.sosfiltfilt(dsp.butter(1, 10, fs=RATE, output="sos"), envelope)


def white(generator: np.random.Generator, rows: int) -> np.ndarray:
    return generator.normal(size=(rows, SAMPLES))


def coloured(generator: np.random.Generator, rows: int) -> np.ndarray:
    return _coloured(generator, rows, generator.uniform(0.3, 3.0))


def random_walk(generator: np.random.Generator, rows: int) -> np.ndarray:
    return generator.normal(size=(rows, SAMPLES)).cumsum(axis=1)


def band(generator: np.random.Generator, rows: int) -> np.ndarray:
    low = generator.uniform(0.5, 30)
    return _band(generator, rows, low, low * generator.uniform(1.3, 6))


def muscle(generator: np.random.Generator, rows: int) -> np.ndarray:
    return _band(generator, rows, 20, 150)


def muscle_bursts(generator: np.random.Generator, rows: int) -> np.ndarray:
    return _band(generator, rows, 20, 150) * (0.05 + _bursts(generator, rows))


def movement(generator: np.random.Generator, rows: int) -> np.ndarray:
    return _band(generator, rows, 0.5, 8)


def brain(generator: np.random.Generator, rows: int) -> np.ndarray:
    """An electroencephalogram: alpha spindles on pink noise, blinks."""
    alpha = _band(generator, rows, 8, 12) * (0.2 + np.abs(_band(generator, rows, 0.2, 0.8)))
    blinks = np.zeros((rows, SAMPLES))
    for time in generator.uniform(0, 10, generator.integers(0, 4)):
        blinks += np.exp(-(((_TIME - time) / 0.1) ** 2))
    pink = _coloured(generator, rows, 1.2)
    return pink / pink.std() + generator.uniform(0.5, 2) * alpha / alpha.std() + 3 * blinks


def breathing(generator: np.random.Generator, rows: int) -> np.ndarray:
    phase = 2 * np.pi * np.cumsum(generator.uniform(0.15, 0.6) * (1 + 0.1 * _coloured(generator, 1, 2)[0]) / RATE)
    shape = np.sin(phase) + 0.3 * np.sin(2 * phase + generator.uniform(0, 6))
    return shape * generator.uniform(0.5, 1.5, (rows, 1)) + 0.02 * generator.normal(size=(rows, SAMPLES))


def tone(generator: np.random.Generator, rows: int) -> np.ndarray:
    frequency = float(np.exp(generator.uniform(np.log(0.3), np.log(120))))
    noise = generator.choice([0, 0.01, 0.1]) * generator.normal(size=(rows, SAMPLES))
    return np.sin(2 * np.pi * frequency * _TIME + generator.uniform(0, 6, (rows, 1))) + noise


def square(generator: np.random.Generator, rows: int) -> np.ndarray:
    phase = 2 * np.pi * generator.uniform(0.3, 10) * _TIME + generator.uniform(0, 6, (rows, 1))
    return dsp.square(phase, generator.uniform(0.2, 0.8)) + 0.01 * generator.normal(size=(rows, SAMPLES))


def sawtooth(generator: np.random.Generator, rows: int) -> np.ndarray:
    phase = 2 * np.pi * generator.uniform(0.3, 10) * _TIME + generator.uniform(0, 6, (rows, 1))
    return dsp.sawtooth(phase, generator.uniform(0, 1)) + 0.01 * generator.normal(size=(rows, SAMPLES))


def chirp(generator: np.random.Generator, rows: int) -> np.ndarray:
    sweep = dsp.chirp(_TIME, generator.uniform(0.2, 5), 10, generator.uniform(6, 80), method="logarithmic")
    return sweep * generator.uniform(0.5, 1.5, (rows, 1))


def speech(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Syllables: harmonics of a gliding pitch under an envelope, and hissing between them, sampled far too slowly."""
    rate = 8000
    time = np.arange(10 * rate) / rate
    pitch = generator.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * generator.uniform(0.3, 2) * time))
    phase = 2 * np.pi * pitch.cumsum() / rate
    voice = sum(np.sin(number * phase) / number for number in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * generator.uniform(2, 6) * time) + 0.3 * np.sin(7 * time), 0, None)
    sound = voice * syllables + 0.1 * generator.normal(size=len(time)) * (syllables < 0.1)
    return sound[:: rate // RATE][:SAMPLES] * generator.uniform(0.5, 1.5, (rows, 1))


def music(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Struck notes that fade."""
    sound = np.zeros(SAMPLES)
    beat = generator.uniform(0.2, 0.7)
    for start in np.arange(generator.uniform(0, beat), 10, beat):
        since = np.clip(_TIME - start, 0, None)
        note = generator.choice([55, 62, 65, 73, 82, 98, 110, 131])
        sound += (start <= _TIME) * np.exp(-since * generator.uniform(3, 12)) * np.sin(2 * np.pi * note * since)
    return sound * generator.uniform(0.5, 1.5, (rows, 1))


def pops(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Clicks at random times on noise."""
    clicks = (generator.random((rows, SAMPLES)) < 0.003) * generator.normal(size=(rows, SAMPLES))
    return clicks + 0.02 * generator.normal(size=(rows, SAMPLES))


def telegraph(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Steps at random times."""
    steps = (generator.random((rows, SAMPLES)) < 0.004) * generator.normal(size=(rows, SAMPLES))
    return steps.cumsum(axis=1) + 0.01 * generator.normal(size=(rows, SAMPLES))


def mains(generator: np.random.Generator, rows: int) -> np.ndarray:
    frequency = generator.choice([50, 60])
    hum = sum(np.sin(2 * np.pi * frequency * k * _TIME + generator.uniform(0, 6, (rows, 1))) / k for k in (1, 3))
    return hum * generator.uniform(0.3, 1, (rows, 1)) + 0.02 * generator.normal(size=(rows, SAMPLES))


def traffic(generator: np.random.Generator, rows: int) -> np.ndarray:
    """Counts of events an interval, as of a web server or a Geiger tube."""
    level = 20 + 10 * np.sin(2 * np.pi * _TIME / generator.uniform(3, 10))
    return generator.poisson(np.broadcast_to(level, (rows, SAMPLES))).astype(float)


KINDS: dict[str, Draw] = {
    draw.__name__: draw
    for draw in (
        white, coloured, random_walk, band, muscle, muscle_bursts, movement, brain, breathing, tone, square, sawtooth,
        chirp, speech, music, pops, telegraph, mains, traffic,
    )
}  # fmt: skip
PLACES = ("leads", "electrodes", "sources")


def junk(kind: str, generator: np.random.Generator) -> np.ndarray:
    """A signal of one kind in twelve leads, `(12, SAMPLES)` in mV, of an ECG's size.

    It enters every lead for itself, or by the nine electrodes, so that Einthoven's law holds, or from one to three sources
    that all leads share.
    """
    place = PLACES[generator.integers(len(PLACES))]
    rows = {"leads": 12, "electrodes": 9, "sources": int(generator.integers(1, 4))}[place]
    source = KINDS[kind](generator, rows)
    source = source - np.median(source, axis=1, keepdims=True)
    source = source / np.maximum(source.std(axis=1, keepdims=True), 1e-9)
    if place == "electrodes":
        source = np.stack([electrode_leads(name) for name in ELECTRODES], axis=1) @ source
    elif place == "sources":
        source = generator.normal(size=(12, rows)) @ source
    span = np.median(np.ptp(source, axis=1))
    return (source * generator.uniform(0.5, 4.0) / span).astype(np.float32)
