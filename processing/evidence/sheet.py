# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""HTML from templates in which every text is escaped, and a picture of an ECG that can be magnified without any script."""

import base64
import io
from html import escape
from typing import Any

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

ZOOMS = (1, 2, 4)
PHOTO_COLORS = 16_384  # a drawn page has some 2,000
_OF_TEMPLATES = str.maketrans({sign: f"&#{ord(sign)};" for sign in "${}`"})


def html_text(text: object) -> Markup:
    """
    Any text as text of HTML or of an attribute, also inside template engines of the browser, which give braces and dollars a
    meaning. HTML that a template has made (`Markup`) stays as it is.
    """
    return text if isinstance(text, Markup) else Markup(escape(str(text), quote=True).translate(_OF_TEMPLATES))


def html_environment(loader: BaseLoader) -> Environment:
    """Templates whose every expression passes `html_text`, and that do not pass over a name that is missing."""
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=html_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment


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


_TEMPLATES = html_environment(PackageLoader("processing", "evidence/templates"))


def render_html(template: str, **shown: Any) -> str:
    """One of the templates for pages and evidence, with `shown` in it."""
    return _TEMPLATES.get_template(template).render(zooms=ZOOMS, **shown)


SHEET_STYLE = render_html("sheet.css.j2")


def sheet_html(picture: Image.Image, name: str, description: str) -> str:
    """A picture under a choice of magnifications; it needs `SHEET_STYLE` on the same page.

    Args:
        picture: the page or photo.
        name: a name that no other sheet on the same page has.
        description: what the picture shows, for those who do not see it; any text.
    """
    return render_html("sheet.html.j2", picture=picture, name=name, description=description, overlay="")


__all__ = ["SHEET_STYLE", "data_uri", "html_environment", "html_text", "render_html", "sheet_html"]
