"""What we ship of others is what we looked at: unchanged, and with its licence."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "itsm/web/static/vendor"
RECORDS = {"htmx/htmx.min.js": "docs/adr/0012-the-queue-beside-the-ticket.md"}


def test_every_file_is_recorded_and_unchanged() -> None:
    files = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    assert files == {name for file in RECORDS for name in (file, f"{file.split('/')[0]}/LICENSE")}
    for file, record in RECORDS.items():
        recorded = re.findall(r"`([0-9a-f]{64})`", (ROOT / record).read_text(encoding="utf-8"))
        assert [hashlib.sha256((VENDOR / file).read_bytes()).hexdigest()] == recorded
