"""Every version of every kind of event ever declared is kept in tests/corpus/events, and can still be read.

A new kind, or a new version of one, needs a new file:
``python -m tests.operations.corpus`` writes what is missing. A file that is there is never changed and never removed.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.wiring import connect
from itsm.events.kinds import KINDS, EventKind, check, current
from tests.operations.corpus import FOLDER, example, file_of, missing

connect()
FILES = sorted(FOLDER.glob("*.json"))


def test_every_declared_version_is_in_the_corpus() -> None:
    assert missing() == [], "run: python -m tests.operations.corpus"
    for kind in KINDS.values():
        for version in range(1, kind.version + 1):
            assert file_of(kind.name, version).exists(), f"version {version} of {kind.name} was written, and is missing"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_was_written_can_be_read_in_todays_shape(file: Path) -> None:
    event = json.loads(file.read_text(encoding="utf-8"))
    assert file == file_of(event["kind"], event["version"])
    declared = KINDS.get(event["kind"])
    assert declared is not None, "a kind that was ever written stays declared"
    assert event["version"] <= declared.version
    for written in event["payloads"]:
        payload = current(event["kind"], event["version"], dict(written))
        texts = payload.pop("texts", {})
        check(event["kind"], payload, texts)


def test_a_changed_shape_without_a_new_version_is_found() -> None:
    name = "team.created"
    kind = KINDS[name]
    written = example(kind)
    try:
        KINDS[name] = EventKind(name, kind.required | {"colour"}, kind.optional)
        with pytest.raises(ValueError, match="lacks"):
            check(name, {k: v for k, v in written["payloads"][0].items() if k != "texts"}, {})
        KINDS[name] = EventKind(
            name,
            kind.required | {"colour"},
            kind.optional,
            version=2,
            upcasters={1: lambda old: {**old, "colour": "grey"}},
        )
        check(name, current(name, 1, dict(written["payloads"][0])), {})
        assert missing() == [(name, 2)]
    finally:
        KINDS[name] = kind
