# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files that are pictures, by their first bytes, and those that Pillow cannot decode without help: HEIC photos and PDF documents."""

from pathlib import Path
from typing import Any

from PIL import Image

from .errors_gem import EcgFormatError
from .extras_gem import require

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".heic", ".heif", ".pdf")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a")
# Brands of the ISO base media files that hold HEIF pictures (ISO/IEC 23008-12).
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_PDF_DPI = 200
_MAX_PDF_SIDE_PX = 4000
_POINTS_PER_INCH = 72
PDF_SOURCE = "page of the PDF"  # key of `Image.info`: (the document's bytes, the page from 0), for who reads its lines


def is_heif(head: bytes) -> bool:
    """Whether a file starting with `head` (12 bytes) is a HEIF picture, `.heic` of phones among them."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def is_pdf(head: bytes) -> bool:
    """Whether the file's first bytes are those of a PDF (ISO 32000-1, 7.5.2)."""
    return head.startswith(b"%PDF")


def is_picture_data(head: bytes) -> bool:
    """Whether a file starting with `head` (16 bytes) is a PNG, JPEG, TIFF, GIF, BMP, WebP or HEIC picture or a PDF."""
    if head.startswith(_MAGIC) or is_heif(head) or is_pdf(head) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    return head[:2] == b"BM" and head[6:10] == b"\0\0\0\0"


def is_picture(path: str | Path) -> bool:
    """Whether `path` is a picture file, by its first bytes; its name decides only if it cannot be opened."""
    path = Path(path)
    if not path.is_file():
        return path.suffix.lower() in PICTURE_SUFFIXES
    with path.open("rb") as file:
        return is_picture_data(file.read(16))


def enable_heif() -> None:
    """Lets Pillow open HEIF pictures.

    Raises:
        MissingDependencyError: pillow-heif is not installed (`gem-ecg[pages]`).
    """
    require("pillow_heif", "A HEIC photo").register_heif_opener()


def pdf_page(data: bytes, index: int | None, name: str) -> Image.Image:
    """A page of a PDF document at 200 dpi, at most 4000 pixels a side; its `info[PDF_SOURCE]` leads back to the document.

    Args:
        data: content of the file.
        index: the page, from 0; may be `None` if there is only one.
        name: of the file, for messages.

    Raises:
        EcgFormatError: not a PDF, encrypted, without pages, or of several pages and `index` is missing.
        MissingDependencyError: pypdfium2 is not installed (`gem-ecg[pages]`).
    """
    pdfium = require("pypdfium2", "A PDF")
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise EcgFormatError(
            f"{name}: the PDF is truncated, corrupt or encrypted ({error}); print its page to a new PDF or PNG."
        ) from error
    try:
        chosen = chosen_page(len(document), index, name)
        picture = _rendered(document[chosen], name)
        picture.info[PDF_SOURCE] = data, chosen
        return picture
    except pdfium.PdfiumError as error:
        raise EcgFormatError(f"{name}: the page cannot be drawn ({error}); export it as PNG.") from error
    finally:
        document.close()


def chosen_page(pages: int, index: int | None, name: str) -> int:
    """The page meant of a document.

    Raises:
        EcgFormatError: there are none, or several and `index` names none of them.
    """
    if pages == 1 and index is None:
        return 0
    if index is None or not 0 <= index < pages:
        choice = (
            f"choose the one that shows the ECG with `index=0` to `index={pages - 1}`" if pages else "save it again"
        )
        raise EcgFormatError(f"{name}: a document of {pages} pages; {choice}.")
    return index


def _rendered(page: Any, name: str) -> Image.Image:
    longer = max(page.get_size())
    if longer <= 0:
        raise EcgFormatError(f"{name}: the page has no size; export it as PNG.")
    scale = min(_PDF_DPI / _POINTS_PER_INCH, _MAX_PDF_SIDE_PX / longer)
    picture: Image.Image = page.render(scale=scale).to_pil()
    return picture.convert("RGB")


__all__ = [
    "PDF_SOURCE",
    "PICTURE_SUFFIXES",
    "chosen_page",
    "enable_heif",
    "is_heif",
    "is_pdf",
    "is_picture",
    "is_picture_data",
    "pdf_page",
]
