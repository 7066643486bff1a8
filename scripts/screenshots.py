"""Take the README's pictures: python -m config.embedded test -- python scripts/screenshots.py (make screenshots).

On a throw-away database with the demo's data, served as ``make run`` serves it. Needs a Chromium in the path and Noto Sans
(Debian: chromium, fonts-noto-core). A picture over 200 kB is refused: a README is read over slow lines as well.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
BYTES_MAX = 250_000
TICKET = ".rows tbody tr:nth-child(3) .title"
WIDE = {"viewport": {"width": 1280, "height": 760}}


@dataclass(frozen=True)
class Picture:
    """One page as one person sees it, after these clicks."""

    name: str
    who: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    clicks: tuple[str, ...] = ()


PICTURES = (
    Picture("queue", "agent", "queue/", WIDE, (TICKET,)),
    Picture("incident-dark", "agent", "queue/", {**WIDE, "color_scheme": "dark"}, (TICKET, "#whole-page")),
    Picture("portal-narrow", "requester", "incidents/mine/", {"viewport": {"width": 390, "height": 844}}),
    Picture("admin", "admin", "admin/", WIDE),
)


def main() -> int:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("screenshots: no Chromium is installed. Remedy: install the package chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        port = _free_port()
        environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.dev", "MEDIA_ROOT": f"{state}/media"}
        for command in (["migrate", "-v0"], ["seed_demo", "--state", folder]):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environ, check=True)
        demo = json.loads((state / "demo.json").read_text(encoding="utf-8"))["tenants"][0]
        server = subprocess.Popen(
            [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "config.wsgi:application"],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/healthz/live")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-lcd-text"]
                )
                too_large = [name for one in PICTURES if (name := _take(browser, one, demo, port))]
                browser.close()
        finally:
            server.terminate()
            server.wait(20)
    if too_large:
        print(f"screenshots: over {BYTES_MAX} bytes: {', '.join(too_large)}", file=sys.stderr)
    return 1 if too_large else 0


def _take(browser: Any, picture: Picture, demo: dict[str, Any], port: int) -> str:
    """Take one picture; its name if it became too large."""
    base = f"http://127.0.0.1:{port}/t/{demo['slug']}/"
    page: Page = browser.new_context(**picture.options).new_page()
    page.goto(base)
    page.locator("input[name=login]").fill(demo["users"][picture.who]["login"])
    page.locator("input[name=password]").fill(demo["users"][picture.who]["password"])
    page.locator("main button").click()
    page.wait_for_url("**/t/**")
    page.goto(base + picture.path)
    for click in picture.clicks:
        page.locator(click).click()
        page.wait_for_load_state("networkidle")
    IMAGES.mkdir(exist_ok=True)
    target = IMAGES / f"{picture.name}.png"
    page.screenshot(path=target)
    size = target.stat().st_size
    print(f"{target.relative_to(ROOT)}: {size} bytes")
    return picture.name if size > BYTES_MAX else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str) -> None:
    ends = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > ends:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
