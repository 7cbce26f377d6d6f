# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Signals and pages for training a tower: disturbed, drawn and photographed differently each time."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, default_collate

from processing.ecg_page import render_ecg
from processing.ecg_page_picture import EcgPage
from processing.ecg_record import STANDARD_LEADS, EcgRecord

from .corpus import MICROVOLTS, RATE, Corpus
from .kept_pages import KeptPages
from .page_augment import augment_page
from .recorded_again import LARGEST_PACE_CHANGE
from .targets import (
    RECORD_S,
    TRACE_SHAPE,
    beat_marks,
    beat_targets,
    lead_extremes,
    measured_at,
    measurement_targets,
    read_round,
    rr_around,
    statement_targets,
    trace_targets,
)

# Mean and standard deviation of the drawn pages per colour (RGB, 0-1). With CLIP's, the white paper would be a large
# constant in which a small tower finds the traces only slowly.
PAGE_MEAN, PAGE_STD = (0.93, 0.89, 0.89), (0.18, 0.17, 0.16)
PAGE_SIZE = 336
# The page that the processor draws, most of the time; else one of those that people photograph.
OWN_LAYOUT, OTHER_LAYOUTS = "square_12x1", ("3x4", "3x4+1", "3x4+3", "6x2", "12x1", "gem_12x1")
OWN_LAYOUT_SHARE, PHOTOGRAPHED_SHARE = 0.75, 0.25
# Half of the pages in other layouts are landscape, as hospitals print them, and stretched to a square, as the image processor does.
LANDSCAPE_SHARE, LANDSCAPE_RATIO = 0.5, 2**0.5
# Of the pages of a camera; the others are disturbed at the size that the model sees, which is harder and costs a third.
LARGE_PHOTO_SHARE = 0.3
# A fifth of the records were stored at 100 Hz and have nothing above 50 Hz. Half of all are shown like that, so that a tower cannot
# recognise them by it.
LOW_PASS_HZ, LOW_PASS_SHARE = 50.0, 0.5


class Signals(Dataset):
    """
    Signals `(leads, samples)` mV with their training targets.

    Args:
        corpus: the records.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.columns = targets_of(corpus)
        self.columns["marks"] = np.stack([beat_marks(features) for features in corpus.features])
        self.columns["rr"] = np.stack([rr_around(features) for features in corpus.features])

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        values = self.corpus.signals[index].astype(np.float32) / MICROVOLTS
        return {"values": values, **{name: rows[index] for name, rows in self.columns.items()}}


class Pages(Dataset):
    """
    Pages `(height, width, 3)` uint8 with their training targets, in any layout and at times as if photographed. In training each is
    drawn anew every `uses` epochs, in every epoch a part of them; the same for the same seed.

    Args:
        corpus: the records.
        layout: of all pages; `None`: of any, as in training.
        photographed: share of pages that `augment_page` makes look printed, folded and photographed.
        own_share: share of pages in the processor's own layout, where `layout` is `None`.
        size: px, of a side.
        others: how many pictures of something else to show beside the pages.
        other: draws one of these, uint8 `(size, size, 3)`, from a number.
        uses: in how many epochs a page is shown.
        folder: where pages are kept between their uses.
        seed: of what is drawn.
    """

    def __init__(
        self,
        corpus: Corpus,
        layout: str | None = None,
        photographed: float = PHOTOGRAPHED_SHARE,
        own_share: float = OWN_LAYOUT_SHARE,
        size: int = PAGE_SIZE,
        others: int = 0,
        other: Callable[[int], np.ndarray] | None = None,
        uses: int = 1,
        folder: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.corpus, self.layout, self.photographed = corpus, layout, photographed
        self.own_share, self.size = own_share, size
        self.others, self.other = others, other
        self.uses, self.seed, self.epoch = uses, seed, 0
        self.columns = targets_of(corpus)
        # Whether it is no ECG: a statement of its own.
        self.columns["labels"] = np.pad(self.columns["labels"], ((0, 0), (0, 1)))
        self.kept: KeptPages | None = None
        if folder is not None:
            ids = [row["id"] for row in corpus.rows]
            settings = repr((ids, layout, photographed, own_share, seed))
            self.kept = KeptPages(folder, len(self), self._drawn(0, 0), settings)

    def __len__(self) -> int:
        return len(self.corpus) + self.others

    def set_epoch(self, epoch: int) -> None:
        """Tells which pass over the data comes; the trainer does."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        version = (self.epoch + index % self.uses) // self.uses
        draw = partial(self._drawn, index, version)
        example = draw() if self.kept is None else self.kept.get(index, version, draw)
        return example | self._targets(index)

    def _drawn(self, index: int, version: int) -> dict[str, np.ndarray]:
        """The picture of `index` and what its traces show."""
        rng = np.random.default_rng((self.seed, index, version))
        if index >= len(self.corpus):
            assert self.other is not None
            shows = np.full(TRACE_SHAPE, np.nan, dtype=np.float32)
            return {"values": self.other(int(rng.integers(2**31))), "traces": shows}
        record = self.corpus.item(index).record
        page, pixels = drawn_page(record, rng, self.layout, self.photographed, self.size, self.own_share)
        return {"values": pixels, "traces": trace_targets(record, page)}

    def _targets(self, index: int) -> dict[str, np.ndarray]:
        """Of a record; of a picture that is no ECG nothing is stated but that, and nothing can be measured."""
        if index < len(self.corpus):
            return {name: rows[index] for name, rows in self.columns.items()}
        targets = {name: np.full_like(rows[0], np.nan) for name, rows in self.columns.items()}
        targets["labels"] = np.eye(1, len(targets["labels"]), len(targets["labels"]) - 1, dtype=np.float32)[0]
        return targets


def drawn_page(
    record: EcgRecord,
    rng: np.random.Generator,
    layout: str | None = None,
    photographed: float = PHOTOGRAPHED_SHARE,
    size: int = PAGE_SIZE,
    own_share: float = OWN_LAYOUT_SHARE,
) -> tuple[EcgPage, np.ndarray]:
    """
    A page of `record` and how it looks, uint8 `(size, size, 3)`; `layout`, `photographed` and `own_share` as in `Pages`. A page
    that is photographed or landscape is drawn larger than the model sees it, so that its lines become thin and grey.
    """
    if layout is None:
        layout = OWN_LAYOUT if rng.random() < own_share else str(rng.choice(OTHER_LAYOUTS))
    seen_by_camera = rng.random() < photographed
    landscape = layout != OWN_LAYOUT and rng.random() < LANDSCAPE_SHARE
    if not (seen_by_camera or landscape):
        page = render_ecg(record, layout=layout, size=(size, size))
        return page, page.pixels
    height = round(2 * size / LANDSCAPE_RATIO) if landscape else 2 * size
    page = render_ecg(record, layout=layout, size=(height, 2 * size))
    if not seen_by_camera:
        return page, np.asarray(page.to_pil().resize((size, size), Image.Resampling.BICUBIC))
    if rng.random() < LARGE_PHOTO_SHARE:
        picture = Image.fromarray(augment_page(page, rng))
        return page, np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    seen = page.to_pil().resize((size, size), Image.Resampling.BICUBIC)
    return page, augment_page(seen, rng)


def targets_of(corpus: Corpus) -> dict[str, np.ndarray]:
    """`labels` and `measured` of all records."""
    return {
        "labels": np.stack([statement_targets(row["codes"]) for row in corpus.rows]),
        "measured": np.stack([measurement_targets(features) for features in corpus.features]),
    }


class SignalAugmentation:
    """
    Collates signals; in training with another start and pace, random gain, noise, wander, band and missing leads, a batch
    at once. Targets that depend on the pace change with it.

    Args:
        training: whether signals are disturbed.
        tokens: into how many equal stretches the tower divides a signal.
    """

    def __init__(self, training: bool, tokens: int):
        self.training, self.tokens = training, tokens

    def __call__(self, examples: list[Mapping[str, np.ndarray]]) -> dict[str, torch.Tensor]:
        """A batch of signals `(records, leads, samples)` in mV with targets; in training turned, stretched and disturbed."""
        batch = default_collate(examples)
        signal = batch["values"]
        count, _, samples = signal.shape
        start, pace = torch.zeros(count), torch.ones(count)
        if self.training:
            start = torch.randint(0, samples, (count,)).float()
            pace = torch.exp(LARGEST_PACE_CHANGE * (2 * torch.rand(count) - 1))
            signal = read_round(signal, start, pace)
            batch["values"] = self.disturb(signal)
            batch["measured"] = measured_at(batch["measured"], pace)
        batch["extremes"] = lead_extremes(signal, self.tokens)  # what is disturbed or missing is to be seen through
        marks, rr = batch.pop("marks"), batch.pop("rr")
        batch["beats"] = beat_targets(marks, rr, start * RECORD_S / samples, pace, self.tokens)
        return batch

    @staticmethod
    def disturb(signal: torch.Tensor) -> torch.Tensor:
        """Signals with another band, gain, noise and baseline wander, and each lead missing with a probability of 0.08."""
        count, leads, samples = signal.shape
        low = torch.rand(count) < LOW_PASS_SHARE
        signal = torch.where(low[:, None, None], low_passed(signal), signal)
        # One gain for all leads: the ratio of leads is what the axis is read from.
        signal = signal * (0.95 + 0.1 * torch.rand(count, 1, 1)) + 0.01 * torch.randn_like(signal)
        turns = torch.arange(samples) / samples * (1 + 4 * torch.rand(count, 1, 1))
        wander = torch.sin(2 * torch.pi * (torch.rand(count, leads, 1) + turns))
        signal = signal + 0.05 * torch.randn(count, leads, 1) * wander
        return signal * (torch.rand(count, leads, 1) > 0.08)


def as_columns(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`(12, samples)` mV as a digitised page of 3x4 or 6x2 leads has it, half of them with a rhythm strip of lead II; 0 where nothing is shown."""
    columns, (leads, samples) = int(rng.choice((2, 4))), signal.shape
    shown = np.arange(leads)[:, None] * columns // leads == np.arange(samples) * columns // samples
    if rng.random() < 0.5:
        shown[STANDARD_LEADS.index("II")] = True
    return np.where(shown, signal, np.float32(0))


def low_passed(signal: torch.Tensor) -> torch.Tensor:
    """`(batch, leads, samples)` without what lies above `LOW_PASS_HZ`, as records kept at 100 Hz are."""
    samples = signal.shape[-1]
    spectrum = torch.fft.rfft(signal)
    spectrum[..., int(LOW_PASS_HZ * samples / RATE) :] = 0
    return torch.fft.irfft(spectrum, n=samples)


class PageAugmentation:
    """Collates pages, normalised as the image processor does; in training re-lit."""

    def __init__(self, training: bool):
        self.training = training
        self.mean = 255 * torch.tensor(PAGE_MEAN).view(3, 1, 1)
        self.std = 255 * torch.tensor(PAGE_STD).view(3, 1, 1)

    def __call__(self, examples: list[Mapping[str, np.ndarray]]) -> dict[str, torch.Tensor]:
        """A batch of normalised pages `(records, 3, height, width)`; in training of varying brightness."""
        batch = default_collate(examples)
        pixels = batch["values"].permute(0, 3, 1, 2).float(memory_format=torch.contiguous_format)
        if self.training:
            pixels.mul_(0.9 + 0.15 * torch.rand(len(pixels), 1, 1, 1)).clamp_(max=255)
        batch["values"] = pixels.sub_(self.mean).div_(self.std)
        return batch


__all__ = [
    "PAGE_MEAN",
    "PAGE_STD",
    "PageAugmentation",
    "Pages",
    "SignalAugmentation",
    "Signals",
    "as_columns",
    "drawn_page",
]
