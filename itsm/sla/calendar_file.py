"""A calendar as JSON: what export writes, import reads, and ``manage.py sla_deadline`` takes.

``{"timezone": "Europe/Berlin", "weekly": {"mon": [["09:00", "17:00"]]}, "exceptions": {"2026-12-25": []}}``, or
``"always": true`` in place of ``weekly`` for 24x7. A shift whose end is not after its start runs over midnight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from itsm.kernel.errors import Problems
from itsm.sla.calendar import DAY_MINUTES, Hours, Shift

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MEMBERS = ("timezone", "weekly", "exceptions", "always")
WHOLE_DAY: Shift = (0, DAY_MINUTES)
_TIME = re.compile(r"\A([01][0-9]|2[0-4]):([0-5][0-9])\Z")
_SHIFTS_MAX = 24
_EXCEPTIONS_MAX = 5000


def read_hours(data: Any) -> Hours:
    """The hours that this JSON value means. Raises Invalid that names each place which cannot be used."""
    problems = Problems()
    if not isinstance(data, Mapping):
        problems.add("", "not_an_object", "A calendar is a JSON object with timezone, weekly and exceptions.")
        problems.raise_if_any()
    for name in data:
        if name not in MEMBERS:
            problems.add(str(name)[:40], "unknown_member", f"Known members: {', '.join(MEMBERS)}.")
    zone = _zone(problems, data.get("timezone"))
    weekly = _weekly(problems, data)
    exceptions = _exceptions(problems, data.get("exceptions", {}))
    problems.raise_if_any()
    return Hours(zone, weekly, exceptions)


def write_hours(hours: Hours) -> dict[str, Any]:
    """The JSON value of these hours; reading it again gives the same hours."""
    written: dict[str, Any] = {"timezone": hours.zone.key}
    if all(shifts == (WHOLE_DAY,) for shifts in hours.weekly):
        written["always"] = True
    else:
        written["weekly"] = {
            day: [write_shift(shift) for shift in shifts]
            for day, shifts in zip(DAYS, hours.weekly, strict=True)
            if shifts
        }
    written["exceptions"] = {
        day.isoformat(): [write_shift(shift) for shift in shifts] for day, shifts in sorted(hours.exceptions.items())
    }
    return written


def _zone(problems: Problems, name: Any) -> ZoneInfo:
    try:
        if not isinstance(name, str) or not name or len(name) > 64:
            raise ValueError
        return ZoneInfo(name)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        problems.add("timezone", "unknown_zone", "timezone must be a name of the IANA database, such as Europe/Berlin.")
        return ZoneInfo("UTC")


def _weekly(problems: Problems, data: Mapping[str, Any]) -> tuple[tuple[Shift, ...], ...]:
    always, weekly = data.get("always", False), data.get("weekly", {})
    if not isinstance(always, bool):
        problems.add("always", "not_a_boolean", "always must be true or false.")
    if not isinstance(weekly, Mapping):
        problems.add("weekly", "not_an_object", f"weekly must be an object with the days {', '.join(DAYS)}.")
        return ((),) * 7
    if always is True:
        if weekly:
            problems.add("always", "both", "Say either always or weekly hours, not both.")
        return ((WHOLE_DAY,),) * 7
    for day in weekly:
        if day not in DAYS:
            problems.add(f"weekly/{str(day)[:20]}", "unknown_day", f"Days are {', '.join(DAYS)}.")
    found = tuple(_shifts(problems, f"weekly/{day}", weekly.get(day, [])) for day in DAYS)
    for index, shifts in enumerate(found):
        following = found[(index + 1) % 7]
        if shifts and following and shifts[-1][1] - DAY_MINUTES > following[0][0]:
            after = DAYS[(index + 1) % 7]
            problems.add(f"weekly/{after}", "overlap", f"It begins before the night shift of {DAYS[index]} has ended.")
    return found


def _exceptions(problems: Problems, given: Any) -> dict[date, tuple[Shift, ...]]:
    if not isinstance(given, Mapping):
        problems.add("exceptions", "not_an_object", "exceptions must be an object of dates, such as 2026-12-25.")
        return {}
    if len(given) > _EXCEPTIONS_MAX:
        problems.add("exceptions", "too_many", f"A calendar holds at most {_EXCEPTIONS_MAX} exceptions.")
        return {}
    found = {}
    for text, shifts in given.items():
        place = f"exceptions/{str(text)[:20]}"
        try:
            day = date.fromisoformat(text)
            if text != day.isoformat() or not 1971 < day.year < 2199:
                raise ValueError
        except (TypeError, ValueError):
            problems.add(place, "bad_date", "A date is written as 2026-12-25, between 1972 and 2198.")
            continue
        found[day] = _shifts(problems, place, shifts)
    return found


def _shifts(problems: Problems, place: str, given: Any) -> tuple[Shift, ...]:
    if not isinstance(given, list) or len(given) > _SHIFTS_MAX:
        problems.add(
            place, "not_a_list", f'A day is a list of up to {_SHIFTS_MAX} shifts, such as [["09:00", "17:00"]].'
        )
        return ()
    shifts = []
    for index, pair in enumerate(given):
        if not isinstance(pair, list) or len(pair) != 2:
            problems.add(f"{place}/{index}", "not_a_shift", 'A shift is a pair of times, such as ["09:00", "17:00"].')
            continue
        start, end = (_minute(time) for time in pair)
        if start is None or end is None or start == DAY_MINUTES:
            problems.add(f"{place}/{index}", "bad_time", "Times are written as 09:00; only an end may be 24:00.")
        elif start == end:
            problems.add(f"{place}/{index}", "no_length", 'It begins when it ends. A whole day is ["00:00", "24:00"].')
        else:
            shifts.append((start, end if end > start else end + DAY_MINUTES))
    shifts.sort()
    for index, (before, after) in enumerate(pairwise(shifts)):
        if before[1] > after[0]:
            problems.add(
                f"{place}/{index + 1}",
                "overlap",
                f"Shifts of a day must not overlap ({_span(before)}, {_span(after)}).",
            )
    return tuple(shifts)


def _minute(text: Any) -> int | None:
    match = _TIME.match(text) if isinstance(text, str) else None
    minute = int(match[1]) * 60 + int(match[2]) if match else None
    return minute if minute is None or minute <= DAY_MINUTES else None


def write_shift(shift: Shift) -> list[str]:
    """A shift as read_hours() reads it."""
    start, end = shift
    # 24:00 stays 24:00; later ends lie on the next day.
    return [_clock(start), _clock(end if end <= DAY_MINUTES else end - DAY_MINUTES)]


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _span(shift: Shift) -> str:
    return "–".join(write_shift(shift))
