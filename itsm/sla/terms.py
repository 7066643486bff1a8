"""What a policy says: JSON in, a compiled Terms out, and the question which target it gives a ticket. Plain Python.

``{"targets": [{"when": {"priority": [1]}, "target": "1h"}, {"target": "8h"}], "calendar": "<id>", …}``; the members are
those of MEMBERS below, and docs/guides/service-levels.md tells them with examples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from itsm.kernel.errors import Invalid, Problems
from itsm.sla.calendar import SECOND
from itsm.sla.clock import Threshold
from itsm.sla.targets import Target, read_target

MEMBERS = (
    "applies", "targets", "calendar", "calendar_source", "stop", "pause", "thresholds", "reopen",
    "retroactive_start", "retroactive_pause", "unmatched",
)  # fmt: skip
#: What a condition may ask of a ticket. Values of one are alternatives, several narrow each other.
CONDITIONS = ("kind", "priority", "impact", "urgency", "service", "category", "organisation", "team", "channel")
_IDS = frozenset({"service", "category", "organisation", "team"})
_NUMBERS = {"priority": 5, "impact": 3, "urgency": 3}
SOURCES = ("contract", "service", "requester")
#: What may end a clock, by metric; the first is enough. An answer is a public comment of somebody who works on the ticket.
STOPS = {
    "response": ("reply", "started", "assigned", "resolved"),
    "resolution": ("resolved", "closed"),
    "update": ("reply", "resolved"),
    "ola": ("resolved", "moved"),
    "cadence": ("resolved",),
}
DEFAULT_STOP = {
    "response": ("reply", "started", "resolved"),
    "resolution": ("resolved",),
    "update": ("reply", "resolved"),
    "ola": ("resolved", "moved"),
    "cadence": ("resolved",),
}
#: Hold reasons that pause. News is owed all the same while the work waits.
DEFAULT_PAUSE: dict[str, list[str]] = {"cadence": []}
REOPEN = ("resume", "restart")
UNMATCHED = ("cancel", "keep")
_TARGETS_MAX, _VALUES_MAX, _STEPS_MAX = 100, 200, 12
_PERCENT = re.compile(r"\A([0-9]{1,3})%\Z")
_CODE = re.compile(r"\A[a-z][a-z0-9_]{0,39}\Z")

Condition = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Facets:
    """What conditions ask of a ticket: by name, all values that it has (a category and those above it), as text."""

    values: Mapping[str, frozenset[str]]

    def meets(self, condition: Condition) -> bool:
        return all(self.values.get(name, frozenset()) & wanted for name, wanted in condition.items())


@dataclass(frozen=True, slots=True)
class Row:
    """A target for the tickets that meet a condition. ``calendar`` is the row's own, where it has one."""

    when: Condition
    promise: str
    target: Target
    calendar: UUID | None


@dataclass(frozen=True, slots=True)
class Terms:
    """A policy version, ready to be asked."""

    metric: str
    applies: Condition
    rows: tuple[Row, ...]
    calendar: UUID
    calendar_source: str
    stop: frozenset[str]
    pause: frozenset[str]
    thresholds: tuple[Threshold, ...]
    reopen: str
    retroactive_start: bool
    retroactive_pause: bool
    unmatched: str

    def row_for(self, facets: Facets) -> Row | None:
        """The first target that the ticket meets, or None when the policy promises it nothing."""
        if not facets.meets(self.applies):
            return None
        return next((row for row in self.rows if facets.meets(row.when)), None)

    def asks(self) -> frozenset[str]:
        """The facets that its conditions look at."""
        return frozenset(self.applies).union(*(row.when for row in self.rows))


def read_terms(metric: str, data: Any) -> Terms:
    """The terms that this JSON value means. Raises Invalid that names each place which cannot be used."""
    problems = Problems()
    if metric not in STOPS:
        raise Invalid.one("metric", "unknown_metric", f"metric must be one of {', '.join(STOPS)}.")
    if not isinstance(data, Mapping):
        raise Invalid.one("terms", "not_an_object", "terms is a JSON object with targets and a calendar.")
    for name in data:
        if name not in MEMBERS:
            problems.add(f"terms/{str(name)[:40]}", "unknown_member", f"Known members: {', '.join(MEMBERS)}.")
    terms = Terms(
        metric=metric,
        applies=read_condition(problems, "terms/applies", data.get("applies", {})),
        rows=_rows(problems, data.get("targets")),
        calendar=_id(problems, "terms/calendar", data.get("calendar")),
        calendar_source=_one_of(problems, "calendar_source", data, SOURCES),
        stop=_some_of(problems, "stop", data, STOPS[metric], DEFAULT_STOP[metric]),
        pause=_codes(problems, data.get("pause", DEFAULT_PAUSE.get(metric, ["awaiting_caller"]))),
        thresholds=_thresholds(problems, data.get("thresholds", ["50%", "75%", "90%", "100%"])),
        reopen=_one_of(problems, "reopen", data, REOPEN),
        retroactive_start=_flag(problems, "retroactive_start", data, default=True),
        retroactive_pause=_flag(problems, "retroactive_pause", data, default=True),
        unmatched=_one_of(problems, "unmatched", data, UNMATCHED),
    )
    problems.raise_if_any()
    return terms


def write_threshold(threshold: Threshold) -> str:
    """As read_terms() reads it: ``75%``, or ``-30m`` for half an hour of work before the target."""
    if threshold.percent is not None:
        return f"{threshold.percent}%"
    return f"-{write_span((threshold.before or 0) // SECOND)}"


def read_threshold_text(text: Any) -> str | None:
    """A threshold as write_threshold() writes it, whatever way it was written; None for what is none."""
    threshold = _threshold(text)
    return None if threshold is None else write_threshold(threshold)


def write_span(seconds: int) -> str:
    """Seconds as ``1h30m``."""
    parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def read_condition(problems: Problems, place: str, given: Any) -> dict[str, frozenset[str]]:
    """The condition that this JSON value means; what cannot be used is added to ``problems`` with its place."""
    if not isinstance(given, Mapping):
        problems.add(place, "not_an_object", f"A condition is an object of {', '.join(CONDITIONS)}, each with a list.")
        return {}
    found = {}
    for name, values in given.items():
        here = f"{place}/{str(name)[:40]}"
        if name not in CONDITIONS:
            problems.add(here, "unknown_condition", f"Conditions are {', '.join(CONDITIONS)}.")
        elif not isinstance(values, list) or not 0 < len(values) <= _VALUES_MAX:
            problems.add(here, "not_a_list", f"List 1 to {_VALUES_MAX} values, or leave the condition out.")
        else:
            found[name] = frozenset(_value(problems, f"{here}/{n}", name, value) for n, value in enumerate(values))
    return found


def _value(problems: Problems, place: str, name: str, value: Any) -> str:
    if name in _NUMBERS:
        if type(value) is not int or not 1 <= value <= _NUMBERS[name]:
            problems.add(place, "out_of_range", f"{name} is a number from 1 to {_NUMBERS[name]}.")
        return str(value)
    if name in _IDS:
        return str(_id(problems, place, value))
    if not isinstance(value, str) or not _CODE.match(value):
        problems.add(place, "bad_code", f"{name} is a code such as incident or email.")
    return str(value)


def _rows(problems: Problems, given: Any) -> tuple[Row, ...]:
    if not isinstance(given, list) or not 0 < len(given) <= _TARGETS_MAX:
        problems.add("terms/targets", "required", f"A policy promises something: 1 to {_TARGETS_MAX} targets.")
        return ()
    rows: list[Row] = []
    for index, item in enumerate(given):
        place = f"terms/targets/{index}"
        if not isinstance(item, Mapping) or not set(item) <= {"when", "target", "calendar"}:
            problems.add(place, "bad_target", 'A target is {"when": {…}, "target": "4h", "calendar": "<id>"}.')
            continue
        when = read_condition(problems, f"{place}/when", item.get("when", {}))
        for number, before in enumerate(rows):
            if _wider(before.when, when):
                problems.add(place, "never_reached", f"Target {number + 1} above takes all that this one would.")
                break
        promise = item.get("target")
        try:
            target = read_target(promise if isinstance(promise, str) else "")
            if not target.days and not target.seconds:
                raise Invalid.one("target", "out_of_range", "A target is at least one second.")
        except Invalid as error:
            problems.add(f"{place}/target", error.problems[0].code, error.detail)
            continue
        own = item.get("calendar")
        calendar = None if own is None else _id(problems, f"{place}/calendar", own)
        rows.append(Row(when, str(promise).strip()[:24], target, calendar))
    return tuple(rows)


def _wider(first: Condition, second: Condition) -> bool:
    """Whether every ticket that meets the second condition meets the first."""
    return all(name in second and second[name] <= wanted for name, wanted in first.items())


def _thresholds(problems: Problems, given: Any) -> tuple[Threshold, ...]:
    if not isinstance(given, list) or len(given) > _STEPS_MAX:
        problems.add("terms/thresholds", "not_a_list", f"List up to {_STEPS_MAX} thresholds, such as 75% or -30m.")
        return ()
    found: list[Threshold] = []
    for index, text in enumerate(given):
        threshold = _threshold(text)
        if threshold is None:
            place = f"terms/thresholds/{index}"
            problems.add(place, "bad_threshold", "A threshold is 1% to 1000% of the target, or a time before it: -30m.")
        elif threshold not in found:
            found.append(threshold)
    if Threshold(percent=100) not in found:
        found.append(Threshold(percent=100))  # A breach is always told.
    return tuple(found)


def _threshold(text: Any) -> Threshold | None:
    if not isinstance(text, str):
        return None
    if match := _PERCENT.match(text.strip()):
        percent = int(match[1])
        return Threshold(percent=percent) if 1 <= percent <= 1000 else None
    if not text.strip().startswith("-"):
        return None
    try:
        span = read_target(text.strip()[1:])
    except Invalid:
        return None
    return Threshold(before=span.seconds * SECOND) if span.seconds else None


def _codes(problems: Problems, given: Any) -> frozenset[str]:
    if not isinstance(given, list) or len(given) > 20 or not all(isinstance(c, str) and _CODE.match(c) for c in given):
        problems.add("terms/pause", "not_a_list", "pause lists hold reasons, such as awaiting_caller; [] never pauses.")
        return frozenset()
    return frozenset(given)


def _one_of(problems: Problems, name: str, data: Mapping[str, Any], known: Sequence[str]) -> str:
    value = data.get(name, known[0])
    if value not in known:
        problems.add(f"terms/{name}", "unknown_value", f"{name} is one of {', '.join(known)}.")
    return str(value)


def _some_of(
    problems: Problems, name: str, data: Mapping[str, Any], known: Sequence[str], default: Sequence[str]
) -> frozenset[str]:
    values = data.get(name, list(default))
    if not isinstance(values, list) or not values or not all(isinstance(v, str) and v in known for v in values):
        problems.add(f"terms/{name}", "unknown_value", f"{name} lists one or more of {', '.join(known)}.")
        return frozenset(default)
    return frozenset(values)


def _flag(problems: Problems, name: str, data: Mapping[str, Any], *, default: bool) -> bool:
    value = data.get(name, default)
    if not isinstance(value, bool):
        problems.add(f"terms/{name}", "not_a_boolean", f"{name} is true or false.")
    return bool(value)


def _id(problems: Problems, place: str, value: Any) -> UUID:
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError:
        problems.add(place, "not_an_id", "This must be the id of one that exists.")
        return UUID(int=0)
