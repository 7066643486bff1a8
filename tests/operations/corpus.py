"""Writes the examples of event versions that tests/corpus/events lacks: ``python -m tests.operations.corpus``.

Only what is declared today can be written; a version that was declared yesterday and has no file is lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from itsm.events.kinds import KINDS, EventKind

FOLDER = Path(__file__).resolve().parents[1] / "corpus" / "events"


def file_of(kind: str, version: int) -> Path:
    return FOLDER / f"{kind}.v{version}.json"


def missing() -> list[tuple[str, int]]:
    """Kinds and versions that are declared and have no file."""
    return sorted((kind.name, kind.version) for kind in KINDS.values() if not file_of(kind.name, kind.version).exists())


def example(kind: EventKind) -> dict[str, Any]:
    """The smallest and the largest payload of a kind, as today's code writes them."""
    least = {name: f"<{name}>" for name in sorted(kind.required)}
    most: dict[str, Any] = {**least, **{name: f"<{name}>" for name in sorted(kind.optional)}}
    if kind.texts:
        most["texts"] = dict.fromkeys(sorted(kind.texts), "0" * 64)
    payloads = [least] if most == least else [least, most]
    return {"kind": kind.name, "version": kind.version, "payloads": payloads}


def write() -> None:
    """Write what is missing; what is there stays as it is."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, version in missing():
        text = json.dumps(example(KINDS[name]), indent=2, sort_keys=True)
        file_of(name, version).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()
    write()
