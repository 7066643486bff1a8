"""A layer as somebody writes it down: checked once for every door, and turned into what is stored and what is computed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import clean_text
from itsm.oncall.models import OnCallLayer, Unit
from itsm.oncall.rota import DAY_MINUTES, Layer
from itsm.sla.calendar_file import DAYS, read_hours, write_hours

LAYERS_MAX: Final = 10
PARTICIPANTS_MAX: Final = 100
#: How many hours, days or weeks a turn may have.
EVERY_MAX: Final = {Unit.HOURS: 168, Unit.DAYS: 90, Unit.WEEKS: 52}
MINUTES: Final = {Unit.HOURS: 60, Unit.DAYS: DAY_MINUTES, Unit.WEEKS: 7 * DAY_MINUTES}
_YEARS = range(2000, 2101)
_LINE = re.compile(r"([a-z, -]+?)\s+(\d\d:\d\d)\s*[-–]\s*(\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class LayerRules:
    """The rules of one layer. ``handoff`` is a wall time of ``time_zone``; ``every`` counts in ``unit``."""

    name: str
    time_zone: str
    starts_on: date
    participants: Sequence[UUID]
    handoff: time = time(9)
    unit: str = Unit.WEEKS.value
    every: int = 1
    #: Day (mon … sun) → shifts such as ["17:00", "09:00"]; empty: always.
    restrictions: Mapping[str, Any] = field(default_factory=dict)


def check(problems: Problems, place: str, rules: LayerRules) -> dict[str, Any]:
    """The fields of the stored layer (without its participants). Adds a problem below ``place`` for each that is wrong."""
    clean: dict[str, Any] = {
        "name": clean_text(problems, f"{place}name", rules.name, limit=120, required=True, line=True),
        "time_zone": rules.time_zone,
        "starts_on": rules.starts_on,
        "handoff": rules.handoff,
        "unit": rules.unit,
        "every": rules.every,
        "restrictions": {},
    }
    if rules.time_zone not in available_timezones():
        problems.add(f"{place}time_zone", "unknown_zone", "time_zone must be a name such as Europe/Berlin.")
    if rules.starts_on.year not in _YEARS:
        problems.add(f"{place}starts_on", "out_of_range", f"starts_on must lie in {_YEARS[0]} to {_YEARS[-1]}.")
    if rules.handoff.second or rules.handoff.microsecond or rules.handoff.tzinfo:
        problems.add(f"{place}handoff", "bad_time", "handoff must be a whole minute such as 09:00.")
    if rules.unit not in Unit.values:
        problems.add(f"{place}unit", "unknown_value", f"unit must be one of {', '.join(Unit.values)}.")
    elif not 1 <= rules.every <= EVERY_MAX[Unit(rules.unit)]:
        problems.add(
            f"{place}every", "out_of_range", f"every must be from 1 to {EVERY_MAX[Unit(rules.unit)]} {rules.unit}."
        )
    if not rules.participants:
        problems.add(f"{place}participants", "required", "A layer needs at least one participant, or leave it out.")
    if len(rules.participants) > PARTICIPANTS_MAX:
        problems.add(f"{place}participants", "too_many", f"A layer has at most {PARTICIPANTS_MAX} participants.")
    if rules.restrictions:
        clean["restrictions"] = _restrictions(problems, place, rules.restrictions)
    return clean


def _restrictions(problems: Problems, place: str, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        hours = read_hours({"timezone": "UTC", "weekly": given})
    except Invalid as error:
        for problem in error.problems:
            where = problem.pointer.removeprefix("/weekly").strip("/")
            problems.add(f"{place}restrictions/{where}".rstrip("/"), problem.code, problem.detail)
        return {}
    if not hours.repeats:
        problems.add(
            f"{place}restrictions", "never", "With these hours nobody would ever be on call. Leave them out for always."
        )
    written = write_hours(hours)
    return {} if written.get("always") else dict(written["weekly"]) if hours.repeats else {}


def layer_of(row: OnCallLayer, people: Sequence[UUID]) -> Layer:
    """A stored layer as arithmetic takes it."""
    weekly = read_hours({"timezone": "UTC", "weekly": row.restrictions}).weekly if row.restrictions else None
    return Layer(
        key=row.pk,
        zone=ZoneInfo(row.time_zone),
        start=row.starts_on,
        handoff=row.handoff.hour * 60 + row.handoff.minute,
        turn=MINUTES[Unit(row.unit)] * row.every,
        people=tuple(people),
        weekly=weekly,
    )


def restrictions_text(restrictions: Mapping[str, Any]) -> str:
    """Restrictions as lines for people, each day on one of its own: ``mon 17:00-09:00``."""
    return "\n".join(f"{day} {begin}-{end}" for day in DAYS for begin, end in restrictions.get(day, ()))


def read_restrictions(text: str) -> dict[str, Any]:
    """Restrictions from lines such as ``mon-fri 17:00-09:00`` or ``sat, sun 00:00-24:00``. Raises Invalid naming the line."""
    found: dict[str, Any] = {}
    for number, line in enumerate(text.lower().splitlines()[:100], start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip()[:100])
        days = _days(match[1]) if match else []
        if match is None or not days:
            raise Invalid.one(
                "restrictions", "not_understood", f"Line {number} is not understood. Write: mon-fri 17:00-09:00"
            )
        for day in days:
            found.setdefault(day, []).append([match[2], match[3]])
    return found


def _days(text: str) -> list[str]:
    days: list[str] = []
    for part in re.split(r"[,\s]+", text.strip().replace(" - ", "-")):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            return []
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days += [DAYS[index % 7] for index in range(begin, end + 1 + (7 if end < begin else 0))]
    return days
