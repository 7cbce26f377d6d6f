# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECG pages by other people's packages, for `benchmarks.bench_digitize`.

`pip install --target FOLDER pmecg ecg-plot dicom-ecg-plot`, and FOLDER in PYTHONPATH; ecg-plot 0.2.8 draws other pages than 0.3. What is
not installed is left out.
"""

import io
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

import numpy as np
from PIL import Image

from processing.ecg_photo import load_page_picture
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.photo.layout import parse_layout

DPI = 200
# Theirs (columns x rows) -> ours (rows x columns).
DICOM_LAYOUTS = {"3x4_1": "3x4+1", "6x2": "6x2", "12x1": "12x1"}
PMECG_LAYOUTS = {"4x3+1": "3x4+1", "2x6": "6x2", "1x12": "12x1"}


def _picture(figure: object, as_pdf: bool = False) -> Image.Image:
    from matplotlib import pyplot

    stream = io.BytesIO()
    figure.savefig(stream, format="pdf" if as_pdf else "png", dpi=DPI)  # type: ignore[attr-defined]
    pyplot.close("all")
    return load_page_picture(stream.getvalue())


def _in_columns(record: EcgRecord, layout: str) -> np.ndarray:
    """What a page of sequential columns, and of lead II as its strip, shows: `(12, samples)`, NaN elsewhere."""
    _, columns, strips = parse_layout(layout)
    shown = np.full(record.signal.shape, np.nan)
    rows, samples = len(STANDARD_LEADS) // columns, record.num_samples // columns
    for index, lead in enumerate(STANDARD_LEADS):
        column = index // rows
        span = slice(column * samples, (column + 1) * samples)
        shown[index, span] = record.lead(lead)[span]
    if strips:
        shown[STANDARD_LEADS.index("II")] = record.lead("II")
    return shown


def pmecg_pages(record: EcgRecord, as_pdf: bool = False) -> Iterator[tuple[str, Image.Image, np.ndarray, str]]:
    """By pmecg: name, picture (as PDF one that its lines can be read from), what it shows, layout."""
    import matplotlib

    matplotlib.use("Agg")
    import pmecg
    from pmecg.utils.data import _template_configuration

    for theirs, ours in PMECG_LAYOUTS.items():
        figure = pmecg.ECGPlotter().plot(
            (record.signal.T, list(STANDARD_LEADS)), _template_configuration(theirs), 500.0, show=False
        )
        yield f"{record.record_id} pmecg {ours}", _picture(figure, as_pdf), _in_columns(record, ours), ours


def ecg_plot_pages(record: EcgRecord) -> Iterator[tuple[str, Image.Image, np.ndarray, str]]:
    """By ecg_plot, as it comes: two columns of the same ten seconds. From version 0.3 on what exceeds 1.5 mV is cut off."""
    import matplotlib

    matplotlib.use("Agg")
    import ecg_plot
    from matplotlib import pyplot

    # Both versions take these arguments and leave a figure of pyplot.
    ecg_plot.plot(record.signal, sample_rate=500, title="", lead_index=list(STANDARD_LEADS), columns=2)
    shown = record.signal.astype(np.float64)
    if hasattr(ecg_plot, "__version__"):
        shown = np.where(np.abs(shown) > 1.5, np.nan, shown)
    yield f"{record.record_id} ecg_plot 6x2", _picture(pyplot.gcf()), shown, "6x2"


def dicom_pages(record: EcgRecord) -> Iterator[tuple[str, Image.Image, np.ndarray, str]]:
    """By dicom-ecg-plot, which filters what it draws (0.05 to 40 Hz)."""
    import matplotlib

    matplotlib.use("Agg")
    import ecg
    from pydicom import dcmread

    from .bench_renderers import as_dicom

    for theirs, ours in DICOM_LAYOUTS.items():
        dataset = dcmread(io.BytesIO(as_dicom(record)))
        for lead, channel in zip(STANDARD_LEADS, dataset.WaveformSequence[0].ChannelDefinitionSequence, strict=True):
            # Its table of codes takes that of V1 (2:3) for III, and so on: it is given words.
            channel.ChannelSourceSequence[0].CodeValue = ""
            channel.ChannelSourceSequence[0].CodeMeaning = f"Lead {lead}"
        stream = io.BytesIO()
        dataset.save_as(stream)
        stream.seek(0)
        page = ecg.ECG(stream)
        page.close = lambda: None  # it closes whatever figure is the current one, when it is collected
        page.draw(theirs, 10.0, minor_axis=True)
        drawn = record.changed("filtered by dicom-ecg-plot", signal=np.asarray(page._plotter.signals, np.float32))
        yield f"{record.record_id} dicom-ecg-plot {ours}", _picture(page._plotter.fig), _in_columns(drawn, ours), ours


OTHERS: dict[str, Callable[[EcgRecord], Iterator[tuple[str, Image.Image, np.ndarray, str]]]] = {
    name: pages
    for name, package, pages in (
        ("pmecg", "pmecg", pmecg_pages),
        ("pmecg, as PDF", "pmecg", partial(pmecg_pages, as_pdf=True)),
        ("ecg_plot", "ecg_plot", ecg_plot_pages),
        ("dicom-ecg-plot", "ecg", dicom_pages),
    )
    if find_spec(package) is not None
}
