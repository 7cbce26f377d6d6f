# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A picture of an ECG as HTML that can be magnified and scrolled, without any script (`sheet_html`)."""

import base64
import io
from html import escape

from PIL import Image

ZOOMS = (1, 2, 4)
PHOTO_COLORS = 16_384  # a drawn page has some 2,000
_OF_TEMPLATES = str.maketrans({sign: f"&#{ord(sign)};" for sign in "${}`"})
SHEET_STYLE = """
.gem-sheet{font-family:system-ui,sans-serif;color:#111;background:#fff;border:1px solid #888;border-radius:.4rem;overflow:hidden}
.gem-sheet .zoom{display:flex;align-items:center;gap:.2rem;margin:0;padding:.25rem .6rem;border:0;background:#f4f4f4;font-size:.9rem}
.gem-sheet .zoom legend{float:left;padding:0;margin:0 .4rem 0 0}
.gem-sheet .zoom label{position:relative;display:flex;align-items:center;min-height:1.8rem;padding:0 .7rem;border-radius:.3rem;cursor:pointer}
.gem-sheet .zoom input{position:absolute;inset:0;opacity:0;margin:0;width:100%;height:100%;cursor:pointer}
.gem-sheet .zoom label:has(:checked){background:#333;color:#fff}
.gem-sheet .zoom label:has(:focus-visible){outline:3px solid #06c;outline-offset:1px}
.gem-sheet .paper{overflow:auto;max-height:88vh}
.gem-sheet .paper:focus-visible{outline:3px solid #06c;outline-offset:-3px}
.gem-sheet .page{position:relative}
.gem-sheet .page img{display:block;width:100%;height:auto;margin:0;max-width:none}
@media print{.gem-sheet .zoom{display:none}.gem-sheet .paper{overflow:visible;max-height:none}}
""" + "".join(f".gem-sheet:has(.zoom-{zoom}:checked) .page{{width:{100 * zoom}%}}" for zoom in ZOOMS)


def sheet_html(picture: Image.Image, name: str, description: str, overlay: str = "") -> str:
    """A picture under a choice of magnifications; it needs `SHEET_STYLE` on the same page.

    Args:
        picture: the page or photo.
        name: a name that no other sheet on the same page has.
        description: what the picture shows, for those who do not see it; any text.
        overlay: HTML on top of the picture, its places in percent of it.
    """
    zooms = "".join(
        f'<label><input type="radio" name="zoom {html_text(name)}" class="zoom-{zoom}"{" checked" if zoom == ZOOMS[0] else ""}>'
        f"{'Fit' if zoom == ZOOMS[0] else f'{zoom}×'}</label>"
        for zoom in ZOOMS
    )
    text = html_text(description)
    return (
        f'<div class="gem-sheet"><fieldset class="zoom"><legend>Zoom</legend>{zooms}</fieldset>'
        f'<div class="paper" tabindex="0" role="region" aria-label="{text}; scrolls when magnified"><div class="page">'
        f'<img src="{data_uri(picture)}" width="{picture.width}" height="{picture.height}" alt="{text}">'
        f"{overlay}</div></div></div>"
    )


def html_text(text: object) -> str:
    """Any text as text of HTML or of an attribute, also inside template engines, which give braces and dollars a meaning."""
    return escape(str(text), quote=True).translate(_OF_TEMPLATES)


def data_uri(picture: Image.Image) -> str:
    """A picture as a `data:` address: drawn pages as PNG with as few colours as ECG paper has, photos as JPEG."""
    buffer = io.BytesIO()
    if picture.getcolors(PHOTO_COLORS) is None:
        kind = "jpeg"
        picture.convert("RGB").save(buffer, "JPEG", quality=85)
    else:
        kind = "png"
        colors = picture.convert("RGB").quantize(64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        colors.save(buffer, "PNG")
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


__all__ = ["SHEET_STYLE", "data_uri", "html_text", "sheet_html"]
