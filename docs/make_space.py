# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws `docs/space.png`, the Space after an interpretation, with a Chromium of this machine: `python -m docs.make_space`."""

import io
from pathlib import Path

from PIL import Image

from hub_cards.space.gem_space.folder import ServerFolder
from hub_cards.space.gem_space.interpreter import Interpreter
from hub_cards.space.gem_space.server import serve
from tests.helpers.browser import headless_chromium

SAMPLE = "Left bundle branch block"
CLAIM = 5
SIDE_PX = 1280


def main() -> None:
    app, url, _ = serve(Interpreter(), ServerFolder(), prevent_thread_lock=True, quiet=True)
    with headless_chromium() as browser:
        page = browser.new_page(viewport={"width": SIDE_PX, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(url)
        page.get_by_role("radio", name=SAMPLE).first.check()
        page.get_by_alt_text("all leads").wait_for()
        page.get_by_role("button", name="Interpret", exact=True).click()
        page.locator(".gem-answer .counts").wait_for()
        page.locator(f"#claim-{CLAIM}").check()
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(500)
        shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    app.get_blocks().close()
    target = Path(__file__).with_name("space.png")
    shot.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
