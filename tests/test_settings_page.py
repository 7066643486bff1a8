"""docs/operations/settings.md names every variable that the code reads, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Documented because operators set them; read by Django and by the embedded engines, not through config.env.
ELSEWHERE = {"DJANGO_SETTINGS_MODULE", "NAME_FILE", "PROMETHEUS_MULTIPROC_DIR"}


def test_every_variable_is_documented() -> None:
    read = set()
    for folder in ("config/settings",):
        for file in (ROOT / folder).rglob("*.py"):
            read |= set(re.findall(r"env\.(?:text|flag|number|names|choice)\(\s*\"([A-Z0-9_]+)\"", file.read_text()))
    page = (ROOT / "docs/operations/settings.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)`", page, re.MULTILINE))
    assert documented - ELSEWHERE == read
