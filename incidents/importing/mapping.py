"""What another system's columns and words mean: a TOML or JSON file, checked before the first row is read."""

from __future__ import annotations

import codecs
import json
import string
import tomllib
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from incidents.commands.opening import CHANNELS
from incidents.flow import FLOW
from incidents.models import CloseCode, HoldReason

#: Mappings that come with the product, by the name that --format takes.
SHIPPED: Final = Path(__file__).parent / "mappings"
#: The entry of a word table that stands for every other word.
ANY_OTHER: Final = "*"

#: What a column may mean.
MEANINGS: Final = frozenset(
    {"number", "state", "changed_at", "changed_by", "opened_at", "opened_by", "requester", "assignee", "team"}
    | {"category", "subcategory", "symptom", "impact", "urgency", "priority", "channel", "hold_reason"}
    | {"reopen_count", "reassignment_count", "close_code", "close_notes", "resolved_at", "resolved_by"}
    | {"closed_at", "closed_by", "title", "description"}
)
REQUIRED: Final = ("number", "state", "changed_at")
_TABLES: Final = (
    "columns",
    "keep",
    "states",
    "hold_reasons",
    "channels",
    "close_codes",
    "impact",
    "urgency",
    "priority",
)
_WORDS: Final = ("source", "kind", "rows", "repeated", "encoding", "delimiter", "zone", "title", "people")
_LISTS: Final = ("missing", "dates")


class BadMapping(ValueError):
    """The mapping cannot be used; ``problems`` says every reason, each with its remedy."""

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__(f"The mapping {name} cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class StateMeaning:
    """Our state for one of theirs; ``code`` None means: the state of the row before."""

    code: int | None
    hold_reason: str = ""


@dataclass(frozen=True)
class Mapping:
    """A checked mapping. ``columns`` and ``keep`` lead from a meaning to the other system's column name."""

    source: str
    kind: str
    rows: str
    repeated: str
    encoding: str
    delimiter: str
    zone: ZoneInfo
    dates: tuple[str, ...]
    missing: frozenset[str]
    title: str
    people: str
    columns: Table[str, str]
    keep: Table[str, str]
    states: Table[str, StateMeaning]
    hold_reasons: Table[str, str]
    channels: Table[str, str]
    close_codes: Table[str, str]
    levels: Table[str, Table[str, int]] = field(default_factory=dict)

    @property
    def title_fields(self) -> tuple[str, ...]:
        """The meanings that the title pattern names."""
        return tuple(name for _, name, _, _ in string.Formatter().parse(self.title) if name)


def shipped() -> list[str]:
    """Names of the mappings that come with the product."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_mapping(path: Path, *, zone: str = "", source: str = "") -> Mapping:
    """Read and check a mapping; ``zone`` and ``source`` overrule what it says. Raises BadMapping."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BadMapping(str(path), [f"it cannot be read: {error.strerror}"]) from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadMapping(str(path), [f"it is no {'JSON' if path.suffix == '.json' else 'TOML'}: {error}"]) from None
    if not isinstance(raw, dict):
        raise BadMapping(str(path), ["it must be a table of keys and values"])
    if zone:
        raw["zone"] = zone
    if source:
        raw["source"] = source
    return check(raw, str(path))


def check(raw: Table[str, Any], name: str = "") -> Mapping:
    """The mapping that ``raw`` describes. Raises BadMapping with all problems at once."""
    problems: list[str] = []
    _shape(raw, problems)
    if problems:
        raise BadMapping(name, problems)
    columns, title = raw.get("columns", {}), raw.get("title", "")
    _words(raw, problems)
    _columns(columns, title, problems)
    mapping = Mapping(
        source=raw.get("source", ""),
        kind=raw.get("kind", "csv"),
        rows=raw.get("rows", "log"),
        repeated=raw.get("repeated", "refuse"),
        encoding=raw.get("encoding", "utf-8"),
        delimiter=raw.get("delimiter", ","),
        zone=_zone(raw.get("zone", "UTC"), problems),
        dates=tuple(raw.get("dates", ["iso"])),
        missing=frozenset(raw.get("missing", [""])),
        title=title,
        people=raw.get("people", "email"),
        columns=columns,
        keep=raw.get("keep", {}),
        states=_states(raw.get("states", {}), problems),
        hold_reasons=_choices(raw, "hold_reasons", {*HoldReason.values, ""}, problems),
        channels=_choices(raw, "channels", CHANNELS, problems),
        close_codes=_choices(raw, "close_codes", {*CloseCode.values, ""}, problems),
        levels={
            key: _levels(raw[key], key, 5 if key == "priority" else 3, problems)
            for key in ("impact", "urgency", "priority")
            if key in raw
        },
    )
    if problems:
        raise BadMapping(name, problems)
    return mapping


def _shape(raw: Table[str, Any], problems: list[str]) -> None:
    for key, value in raw.items():
        if key in _TABLES:
            if not isinstance(value, dict):
                problems.append(f"{key} must be a table, such as [{key}]")
            elif key in {"impact", "urgency", "priority"}:
                if not all(type(item) is int for item in value.values()):
                    problems.append(f"[{key}] must lead from words to whole numbers")
            elif not all(isinstance(item, str) for item in value.values()):
                problems.append(f"[{key}] must lead from words to words")
        elif key in _WORDS:
            if not isinstance(value, str):
                problems.append(f"{key} must be a text")
        elif key in _LISTS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                problems.append(f"{key} must be a list of texts")
        else:
            problems.append(f"{key} is unknown; known are {', '.join(sorted((*_WORDS, *_LISTS, *_TABLES)))}")


def _words(raw: Table[str, Any], problems: list[str]) -> None:
    source = raw.get("source", "")
    if not source or len(source) > 40 or not source.isprintable():
        problems.append('source must name the other system in 1 to 40 characters, such as "servicenow"')
    for key, allowed, default in (
        ("kind", ("csv", "jsonl"), "csv"),
        ("rows", ("log", "record"), "log"),
        ("repeated", ("refuse", "count"), "refuse"),
        ("people", ("email", "name", "never"), "email"),
    ):
        if raw.get(key, default) not in allowed:
            problems.append(f"{key} must be one of {', '.join(allowed)}")
    delimiter = raw.get("delimiter", ",")
    if len(delimiter) != 1 or delimiter in '"\r\n\x00':
        problems.append('delimiter must be one character, such as ";" or "\\t"')
    try:
        if codecs.lookup(raw.get("encoding", "utf-8")).encode("\n")[0] != b"\n":
            problems.append("encoding must be one in which a line ends with the byte 10; convert UTF-16 files to UTF-8")
    except (LookupError, TypeError, ValueError):
        problems.append(f"encoding {raw['encoding']!r} is unknown; use a name such as utf-8 or iso-8859-1")
    for pattern in raw.get("dates", []):
        if pattern != "iso" and "%Y" not in pattern and "%y" not in pattern:
            problems.append(f'dates: {pattern!r} has no year; write "iso" or a pattern such as "%d.%m.%Y %H:%M"')
    if not raw.get("dates", ["iso"]):
        problems.append('dates must name at least one form, such as "iso" or "%d/%m/%Y %H:%M"')


def _columns(columns: Table[str, str], title: str, problems: list[str]) -> None:
    for meaning in sorted(set(columns) - MEANINGS):
        problems.append(f"[columns] {meaning} is unknown; known are {', '.join(sorted(MEANINGS))}")
    for meaning in REQUIRED:
        if not columns.get(meaning):
            problems.append(f'[columns] lacks {meaning}; write {meaning} = "their column"')
    if "title" not in columns and not title:
        problems.append('name the column of the title in [columns], or write title = "{category} {team}"')
    try:
        named = [
            (name, spec, conversion)
            for _, name, spec, conversion in string.Formatter().parse(title)
            if name is not None
        ]
    except ValueError as error:
        problems.append(f"title: {error}")
        return
    for name, spec, conversion in named:
        if name not in columns or spec or conversion:
            problems.append(f"title: {{{name}}} is no meaning of [columns]")


def _zone(name: str, problems: list[str]) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.append(f"zone {name!r} is unknown; use a name such as Europe/Berlin")
        return ZoneInfo("UTC")


def _states(table: Table[str, str], problems: list[str]) -> dict[str, StateMeaning]:
    keys = {state.key: state.code for state in FLOW.states.values()}
    meanings: dict[str, StateMeaning] = {}
    if not table:
        problems.append("[states] is empty; lead each of their states to one of ours")
    for theirs, ours in table.items():
        state, _, reason = ours.partition(":")
        if state == "same" and not reason:
            meanings[theirs] = StateMeaning(None)
        elif state not in keys:
            problems.append(f"[states] {theirs!r}: {state!r} is no state; use {', '.join(keys)} or same")
        elif reason and (state != "on_hold" or reason not in HoldReason.values):
            problems.append(f"[states] {theirs!r}: write on_hold:<reason> with {', '.join(HoldReason.values)}")
        else:
            meanings[theirs] = StateMeaning(keys[state], reason)
    return meanings


def _choices(
    raw: Table[str, Any], key: str, allowed: frozenset[str] | set[str], problems: list[str]
) -> Table[str, str]:
    table: Table[str, str] = raw.get(key, {})
    for theirs, ours in table.items():
        if ours not in allowed:
            problems.append(f"[{key}] {theirs!r}: {ours!r} is none of {', '.join(sorted(filter(None, allowed)))}")
    return table


def _levels(table: Table[str, int], key: str, most: int, problems: list[str]) -> Table[str, int]:
    for theirs, level in table.items():
        if not 1 <= level <= most:
            problems.append(f"[{key}] {theirs!r}: {level} is not between 1 and {most}")
    return table
