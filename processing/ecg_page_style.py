# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How an ECG page looks: colours and line widths."""

from dataclasses import dataclass, replace
from typing import Any

from .errors_gem import GemError

Color = tuple[int, int, int]
# Below each resolution (px per mm): trace, label and text in points. The first row is for one 336-px tile, where
# 1.5 pt gives 83 % ink in the darkest pixel of a column against 53 % with 0.75 pt; the second is for 672 px.
_WIDTHS_PT = ((2.0, (1.5, 17.0, 15.0)), (4.0, (1.0, 16.0, 12.0)), (float("inf"), (1.0, 14.0, 9.0)))
_PAPER_FIELDS = ("paper", "minor", "major", "grid", "grid_pt", "minor_over_major", "frame_pt")


@dataclass(frozen=True)
class PageStyle:
    """Colours (0-255 RGB) and widths (typographic points, 1/72 inch) of a page.

    `trace_pt`, `pulse_pt`, `label_pt` and `text_pt` follow the resolution where they are 0, because the image tower
    sees a 0.75 pt line on a 336-pixel page as 0.4 pixels of grey; `at` settles them and makes small labels bold.
    `grid` is `"mm"` (1-mm and 5-mm lines), `"major"` (5-mm lines) or `"none"`; `minor_over_major` draws it as
    matplotlib's `axis.grid` does, where the level 1-mm lines cut the upright 5-mm lines into dashes.
    """

    paper: Color = (255, 255, 255)
    minor: Color = (252, 228, 228)
    major: Color = (240, 160, 160)
    trace: Color = (15, 15, 25)
    text: Color = (15, 15, 25)
    grid: str = "mm"
    grid_pt: float = 0.5
    minor_over_major: bool = False
    trace_pt: float = 0.0
    pulse_pt: float = 0.0
    separator_pt: float = 1.0
    label_pt: float = 0.0
    text_pt: float = 0.0
    bold_labels: bool = False
    frame_pt: float = 0.0
    halo_mm: float = 0.5

    def __post_init__(self) -> None:
        if self.grid not in ("mm", "major", "none"):
            raise GemError(f'`grid` must be "mm", "major" or "none", got {self.grid!r}.')
        for name in ("paper", "minor", "major", "trace", "text"):
            color = getattr(self, name)
            if len(color) != 3 or not all(0 <= channel <= 255 for channel in color):
                raise GemError(f"`{name}` must be three numbers from 0 to 255, got {color!r}.")

    def at(self, px_per_mm: float) -> "PageStyle":
        """This style with every width that follows the resolution settled."""
        trace_pt, label_pt, text_pt = next(widths for bound, widths in _WIDTHS_PT if px_per_mm < bound)
        settled = self.trace_pt or trace_pt
        return replace(
            self,
            trace_pt=settled,
            pulse_pt=self.pulse_pt or settled,
            label_pt=self.label_pt or label_pt,
            text_pt=self.text_pt or text_pt,
            bold_labels=self.bold_labels or (not self.label_pt and px_per_mm < 2),
        )

    def without_ink(self) -> "PageStyle":
        """The same paper and grid for whatever is drawn on it."""
        plain = PageStyle()
        return replace(plain, **{name: getattr(self, name) for name in _PAPER_FIELDS})

    @classmethod
    def random(cls, rng: Any) -> "PageStyle":
        """A style as scanners and carts vary: a preset's paper, other greys and widths.

        Args:
            rng: a `numpy.random.Generator`; one seed gives one style.
        """
        base = STYLES[str(rng.choice(list(STYLES)))]
        grey = int(rng.integers(0, 52))
        grid_shift = rng.integers(-15, 16, size=3)
        return replace(
            base,
            trace=(grey, grey, min(grey + int(rng.integers(0, 20)), 255)),
            minor=_shifted(base.minor, grid_shift),
            major=_shifted(base.major, grid_shift),
            trace_pt=float(rng.uniform(0.7, 1.6)),
            pulse_pt=0.0,
            grid_pt=float(rng.uniform(0.3, 0.7)),
            label_pt=float(rng.uniform(11, 18)),
            frame_pt=0.0,
        )


def _shifted(color: Color, shift: Any) -> Color:
    red, green, blue = (min(max(int(channel + change), 0), 255) for channel, change in zip(color, shift, strict=True))
    return red, green, blue


STYLES = {
    "clinical": PageStyle(),
    # The authors' page: matplotlib's colours (1, 0, 0) and (0.996, 0.8745, 0.8588). Its trace is a random grey of
    # 0 to 0.2; ours is fixed at the middle.
    "gem": PageStyle(
        minor=(254, 223, 219),
        major=(255, 0, 0),
        trace=(26, 26, 26),
        text=(0, 0, 0),
        trace_pt=0.75,
        pulse_pt=1.125,
        separator_pt=2.25,
        label_pt=11.0,
        text_pt=11.0,
        frame_pt=0.8,
        minor_over_major=True,
        halo_mm=0.0,
    ),
    "blue": PageStyle(minor=(226, 236, 250), major=(150, 185, 230)),
    "green": PageStyle(minor=(224, 242, 228), major=(150, 205, 165)),
    "bw": PageStyle(minor=(236, 236, 236), major=(190, 190, 190), trace=(0, 0, 0), text=(0, 0, 0)),
    "plain": PageStyle(grid="none", trace=(0, 0, 0), text=(0, 0, 0)),
}


__all__ = ["STYLES", "Color", "PageStyle"]
