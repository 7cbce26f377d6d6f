# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pages of PDF documents that draw their traces as lines come back exactly; others are read as pictures."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS

pytest.importorskip("cv2", reason='pip install "gem-ecg[photo]" to run this test')
pytest.importorskip("pypdfium2", reason='pip install "gem-ecg[pages]" to run this test')
from processing.photo import digitize_ecg

RECORD = load_ecg(Path(__file__).resolve().parents[3] / "processing" / "samples" / "normal.hea")
EXACT_UV = 0.5


def in_columns(columns: int) -> dict[str, tuple[int, np.ndarray]]:
    """What a page of sequential columns shows: lead -> first sample, samples."""
    length, rows = RECORD.num_samples // columns, len(STANDARD_LEADS) // columns
    return {
        lead: (length * (index // rows), RECORD.lead(lead)[length * (index // rows) :][:length])
        for index, lead in enumerate(STANDARD_LEADS)
    }


def off_uv(found, columns: int, strip: str = "") -> float:
    """The largest error of any sample, less the row's own 0."""
    shown = in_columns(columns) | ({strip: (0, RECORD.lead(strip))} if strip else {})
    errors = []
    for lead, (first, samples) in shown.items():
        error = found.lead(lead)[first : first + len(samples)] - samples
        assert np.isfinite(error).all(), lead
        errors.append(np.abs(error - np.median(error)).max())
    return 1000 * max(errors)


def matplotlib_page(path: Path, columns: int, strip: str, mm: float = 1.0, fonttype: int = 3) -> Path:
    """By matplotlib, on paper `mm` as large as it should be."""
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib import pyplot

    settings = {"pdf.fonttype": fonttype, "path.simplify": False}
    with matplotlib.rc_context(settings):
        figure = pyplot.figure(figsize=(280 * mm / 25.4, 300 * mm / 25.4))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 280), ylim=(300, 0))
        axes.axis("off")
        for place in range(301):
            style = {"color": "#e06060" if place % 5 == 0 else "#f5a0a0", "lw": 0.4 if place % 5 == 0 else 0.2}
            axes.plot([0, 280], [place, place], **style)
            if place <= 280:
                axes.plot([place, place], [0, 300], **style)
        rows = len(STANDARD_LEADS) // columns
        pitch = 240 / (rows + bool(strip))
        traces = [(lead, index % rows, *part) for index, (lead, part) in enumerate(in_columns(columns).items())]
        traces += [(strip, rows, 0, RECORD.lead(strip))] if strip else []
        for lead, row, first, samples in traces:
            x, y = 17 + first / 20, 30 + pitch * row
            axes.plot(x + np.arange(len(samples)) / 20, y - 10 * samples, color="k", lw=0.7)
            axes.text(x + 2, y - 8, lead, fontsize=8)
        for row in range(rows + bool(strip)):
            y = 30 + pitch * row
            axes.plot([7, 8, 8, 13, 13, 14], [y, y, y - 10, y - 10, y, y], color="k", lw=0.7)
        axes.text(17, 295, "25 mm/s   10 mm/mV", fontsize=9)
        figure.savefig(path)
        pyplot.close(figure)
    return path


def device_page(path: Path) -> Path:
    """As devices write them: a content stream in their own units, every step a stroke of its own."""
    lines = ["0.05 0 0 0.05 0 0 cm"]  # 1/20 point
    unit = 72 / 25.4 * 20
    lines.append("0.9 0.5 0.5 RG 3 w")
    for mm in range(0, 281, 5):
        lines.append(f"{mm * unit:.3f} 0 m {mm * unit:.3f} {200 * unit:.3f} l S")
    for mm in range(0, 201, 5):
        lines.append(f"0 {mm * unit:.3f} m {280 * unit:.3f} {mm * unit:.3f} l S")
    lines.append("0 0 0 RG 8 w")
    texts = []
    for row, (lead, (first, samples)) in enumerate(in_columns(2).items()):
        x = 10 + first / 20 + np.arange(len(samples)) / 20
        y = 185 - 30 * (row % 6) + 10 * samples
        points = [f"{a * unit:.3f} {b * unit:.3f}" for a, b in zip(x, y, strict=True)]
        lines += [f"{a} m {b} l S" for a, b in pairwise(points)]
        texts.append((lead, x[0] + 1, 190 - 30 * (row % 6)))
    texts.append(("25 mm/s", 10, 4))
    texts.append(("10 mm/mV", 40, 4))
    for text, x, y in texts:
        lines.append(f"BT /F 160 Tf {x * unit:.1f} {y * unit:.1f} Td ({text}) Tj ET")
    content = "\n".join(lines).encode()
    box = f"[0 0 {280 * unit / 20:.2f} {200 * unit / 20:.2f}]"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n" % len(content) + content + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table
    data += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        data.index(b"xref\n0"),
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("columns", "strip", "layout"), [(4, "II", "3x4+1"), (2, "", "6x2"), (1, "", "12x1")], ids=lambda value: str(value)
)
def test_lines_of_matplotlib_are_read_exactly(tmp_path, columns, strip, layout):
    found = digitize_ecg(matplotlib_page(tmp_path / "page.pdf", columns, strip))
    page = found.metadata["page"]
    assert page.layout == layout and (page.scale.speed_from, page.scale.gain_from) == ("text", "pulse")
    assert "the lines of a PDF" in found.history[0] and off_uv(found, columns, strip) < EXACT_UV


def test_the_grid_counts_not_the_size_of_the_paper(tmp_path):
    found = digitize_ecg(matplotlib_page(tmp_path / "page.pdf", 2, "", mm=0.7, fonttype=42))
    assert off_uv(found, 2) < EXACT_UV


def test_a_device_page_of_single_steps_is_read_exactly(tmp_path):
    found = digitize_ecg(device_page(tmp_path / "page.pdf"))
    page = found.metadata["page"]
    assert (page.layout, page.scale.gain_from) == ("6x2", "text") and "the lines of a PDF" in found.history[0]
    # Three decimals of a twentieth of a point.
    assert off_uv(found, 2) < EXACT_UV


def test_the_traces_lie_on_the_rendered_page(tmp_path):
    from processing.ecg_photo import load_page_picture

    picture = load_page_picture(matplotlib_page(tmp_path / "page.pdf", 2, ""))
    dark = np.asarray(picture).max(axis=2) < 140
    found = digitize_ecg(picture)
    for lead, points in found.metadata["page"].outlines():
        x, y = points[np.isfinite(points[:, 1])][5:-5].astype(int).T
        near = dark[y, x] | dark[y - 1, x] | dark[y + 1, x]
        assert near.mean() > 0.9, lead


def test_a_pdf_of_a_picture_is_read_as_a_picture(tmp_path):
    found = digitize_ecg(render_ecg(RECORD, layout="6x2", dpi=150).save(tmp_path / "page.pdf"))
    assert found.metadata["page"].layout == "6x2" and "from a picture" in found.history[0]
