"""Shifts out of an iCalendar text (RFC 5545). Knows no database: whom a name means is asked by the command."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from icalendar import Calendar

from itsm.kernel.errors import Invalid
from itsm.oncall.repeats import Rule, Unusable, read_rule
from itsm.sla.calendar import instant_of

SIZE_MAX: Final = 512 * 1024
EVENTS_MAX: Final = 2000
SHIFTS_MAX: Final = 500
#: A calendar holds events, and those at most alarms.
_DEPTH_MAX = 4
#: Days looked at for all counted repetitions of a calendar together.
_DAYS_MAX = 100_000
_LONGEST = timedelta(days=366)
_YEARS = range(1990, 2101)


@dataclass(frozen=True, slots=True)
class Found:
    """A shift of the calendar: who, by addresses and names in order of preference; ``key`` stays when it is read again."""

    key: str
    start: datetime
    end: datetime
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An event that becomes no shift, and why."""

    what: str
    code: str
    detail: str


@dataclass(slots=True)
class Reading:
    """What a calendar says about a window of time."""

    found: list[Found]
    left_out: list[LeftOut]


@dataclass(slots=True)
class _Window:
    zone: ZoneInfo
    start: datetime
    end: datetime
    days_left: int = _DAYS_MAX


def decode(content: bytes) -> str:
    """An uploaded calendar as text. Raises Invalid for what is too large or not UTF-8."""
    if len(content) > SIZE_MAX:
        raise Invalid.one(
            "calendar", "too_large", f"The calendar is larger than {SIZE_MAX // 1024} KiB. Export fewer months."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid.one(
            "calendar", "not_utf8", f"The calendar is not UTF-8 (byte {error.start}). Export it as UTF-8."
        ) from None


def read_calendar(text: str, zone: ZoneInfo, start: datetime, end: datetime) -> Reading:
    """The shifts that touch the time from ``start`` to ``end``. ``zone`` is for times without one.

    Raises Invalid when the whole text cannot be used; a single event that cannot is named in ``left_out``.
    """
    calendars = _parse(text)
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    if not events:
        raise Invalid.one("calendar", "no_events", "The calendar holds no event (VEVENT).")
    if len(events) > EVENTS_MAX:
        raise Invalid.one(
            "calendar", "too_many", f"The calendar holds more than {EVENTS_MAX} events. Export fewer months."
        )
    named = next((str(one["X-WR-TIMEZONE"]) for one in calendars if "X-WR-TIMEZONE" in one), "")
    window = _Window(_known_zone(named) or zone, start, end)
    reading = Reading([], [])
    for master, changed in _grouped(events, reading.left_out):
        try:
            reading.found.extend(_shifts(master, changed, window, reading.left_out))
        except Unusable as error:
            reading.left_out.append(LeftOut(_title(master), "not_readable", str(error)))
        if len(reading.found) > SHIFTS_MAX:
            raise Invalid.one(
                "calendar", "too_many", f"The calendar makes more than {SHIFTS_MAX} shifts within the window."
            )
    reading.found.sort(key=lambda one: (one.start, one.end, one.key))
    return reading


def _parse(text: str) -> list[Any]:
    if len(text) > SIZE_MAX or len(text.encode("utf-8", "replace")) > SIZE_MAX:
        raise Invalid.one(
            "calendar", "too_large", f"The calendar is larger than {SIZE_MAX // 1024} KiB. Export fewer months."
        )
    depth = 0
    for line in text.splitlines():
        word = line[:6].upper()
        depth += (word == "BEGIN:") - (word[:4] == "END:")
        if depth > _DEPTH_MAX:
            raise Invalid.one("calendar", "too_deep", "The calendar is nested too deep to be one.")
    try:
        found = list(Calendar.from_ical(text, multiple=True))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError):
        found = []
    if not found or depth != 0:
        raise Invalid.one(
            "calendar",
            "not_a_calendar",
            "This is no iCalendar text. It begins with BEGIN:VCALENDAR and ends with END:VCALENDAR.",
        )
    return found


def _grouped(events: Iterable[Any], left_out: list[LeftOut]) -> Iterator[tuple[Any, list[Any]]]:
    """Each event with the changes to single ones of its repetitions; of two with one UID the latest edition counts."""
    masters: dict[str, Any] = {}
    changes: dict[str, list[Any]] = {}
    for event in events:
        uid = _uid(event)
        if "RECURRENCE-ID" in event:
            changes.setdefault(uid, []).append(event)
        elif uid in masters:
            older, newer = sorted((masters[uid], event), key=_edition)
            masters[uid] = newer
            left_out.append(
                LeftOut(_title(older), "duplicate", "another event has the same UID; the later edition counts")
            )
        else:
            masters[uid] = event
    for uid, alone in changes.items():
        if uid not in masters:
            # The series itself is not in the file: each change stands for itself.
            yield from ((one, []) for one in alone)
    for uid, master in masters.items():
        yield master, changes.get(uid, [])


def _uid(event: Any) -> str:
    text = str(event.get("UID", "")).strip()
    return text or f"{_title(event)}|{getattr(event.get('DTSTART'), 'dt', '')}"


def _edition(event: Any) -> int:
    try:
        return int(event.get("SEQUENCE", 0))
    except (TypeError, ValueError):
        return 0


def _title(event: Any) -> str:
    return "".join(char for char in str(event.get("SUMMARY", "")) if char.isprintable()).strip()[:120] or "(no title)"


def _cancelled(event: Any) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED"


def _shifts(master: Any, changed: list[Any], window: _Window, left_out: list[LeftOut]) -> Iterator[Found]:
    if _cancelled(master):
        left_out.append(LeftOut(_title(master), "cancelled", "it is cancelled"))
        return
    if master.errors:
        raise Unusable(
            f"its {', '.join(sorted({str(name or 'text') for name, _ in master.errors}))[:80]} cannot be read"
        )
    zone, begin, length = _span(master, window)
    instead = {_instant_of(one["RECURRENCE-ID"].dt, zone): one for one in changed}
    # Stored with the shift: an address or a name that the UID is made of must not be kept.
    uid, names = hashlib.sha256(_uid(master).encode("utf-8", "replace")).hexdigest()[:32], _names(master)
    original = master.get("RECURRENCE-ID")
    for wall in _walls(master, zone, begin, length, window):
        start = _at(wall, zone)
        if start in instead:
            continue  # Changed or cancelled; told below.
        key = start if original is None else _instant_of(original.dt, zone)
        if found := _within(window, f"{uid}|{key.isoformat()}", start, _at(wall + length, zone), names):
            yield found
    for instant, one in instead.items():
        if _cancelled(one):
            continue
        its_zone, its_begin, its_length = _span(one, window)
        start, end = _at(its_begin, its_zone), _at(its_begin + its_length, its_zone)
        if found := _within(window, f"{uid}|{instant.isoformat()}", start, end, _names(one) or names):
            yield found


def _within(window: _Window, key: str, start: datetime, end: datetime, names: tuple[str, ...]) -> Found | None:
    if end <= start or end <= window.start or start >= window.end:
        return None
    return Found(key, start, end, names)


def _span(event: Any, window: _Window) -> tuple[ZoneInfo, datetime, timedelta]:
    """Zone, wall time of the beginning, and by how much the wall clock moves on until the end."""
    if "DTSTART" not in event:
        raise Unusable("it has no DTSTART")
    start = event["DTSTART"].dt
    named = str(event["DTSTART"].params.get("TZID", ""))
    if named and isinstance(start, datetime) and start.tzinfo is None:
        raise Unusable(f"its time zone {named[:60]} is not known here")
    zone, begin = _wall(start, window.zone)
    if "DTEND" in event:
        length = _instant_wall(event["DTEND"].dt, zone) - begin
    elif "DURATION" in event:
        length = event["DURATION"].dt
    else:
        length = timedelta(0) if isinstance(start, datetime) else timedelta(days=1)
    if not timedelta(0) < length <= _LONGEST:
        raise Unusable("its end is not after its start" if length <= timedelta(0) else "it is longer than a year")
    return zone, begin, length


def _wall(value: Any, zone: ZoneInfo) -> tuple[ZoneInfo, datetime]:
    """A date or a time as zone and wall time; ``zone`` where it names none."""
    if not isinstance(value, datetime):
        if not isinstance(value, date):
            raise Unusable("its times cannot be read")
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a wall time has no zone of its own
    if value.year not in _YEARS:
        raise Unusable(f"it lies outside the years {_YEARS[0]} to {_YEARS[-1]}")
    if value.tzinfo is not None:
        zone = _zone(value)
    return zone, value.replace(tzinfo=None, second=0, microsecond=0, fold=0)


def _zone(value: datetime) -> ZoneInfo:
    name = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
    if known := _known_zone("UTC" if value.tzinfo is UTC else str(name)):
        return known
    raise Unusable(f"its time zone {str(value.tzinfo)[:60]} is not known here")


@lru_cache(maxsize=1024)
def _known_zone(name: str) -> ZoneInfo | None:
    # Asking which ones there are reads the whole database of zones from the disk.
    return ZoneInfo(name) if len(name) <= 64 and name in available_timezones() else None


def _at(wall: datetime, zone: ZoneInfo) -> datetime:
    return instant_of(wall.date(), wall.hour * 60 + wall.minute, zone)


def _instant_of(value: Any, zone: ZoneInfo) -> datetime:
    its_zone, wall = _wall(value, zone)
    return _at(wall, its_zone)


def _instant_wall(value: Any, zone: ZoneInfo) -> datetime:
    """A time as the wall clock of ``zone`` shows it."""
    its_zone, wall = _wall(value, zone)
    return wall if its_zone == zone else _at(wall, its_zone).astimezone(zone).replace(tzinfo=None, fold=0)


def _walls(event: Any, zone: ZoneInfo, begin: datetime, length: timedelta, window: _Window) -> Iterator[datetime]:
    """The wall times at which the event begins, as far as they matter to the window."""
    given = event.get("RRULE")
    if isinstance(given, list):
        raise Unusable("it has several RRULEs")
    since = window.start.astimezone(zone).date() - length - timedelta(days=2)
    last = window.end.astimezone(zone).date() + timedelta(days=2)
    left_out = {_instant_of(value, zone) for value in _listed(event, "EXDATE")}
    whole_days = {value for value in _listed(event, "EXDATE") if not isinstance(value, datetime)}
    walls = {_instant_wall(value, zone) for value in _listed(event, "RDATE")}
    if given is None:
        walls.add(begin)
    else:
        rule, until = read_rule(given), _until(given, zone)
        _spend(rule, begin, last, window)
        for day in rule.days(begin.date(), since, last):
            wall = datetime.combine(day, begin.time())
            if until is not None and _at(wall, zone) > until:
                break
            walls.add(wall)
    for wall in sorted(walls):
        if _at(wall, zone) not in left_out and wall.date() not in whole_days:
            yield wall


def _spend(rule: Rule, begin: datetime, last: date, window: _Window) -> None:
    """Counted repetitions are followed from their beginning: together no further than this."""
    if rule.count is not None:
        window.days_left -= max((last - begin.date()).days, 0)
    if window.days_left < 0:
        raise Invalid.one(
            "calendar", "too_many", "The calendar counts repetitions over too many years. Export fewer of them."
        )


def _until(parts: Any, zone: ZoneInfo) -> datetime | None:
    """The last instant at which a repetition may begin. In UTC as it should be, or, as some write it, by the wall clock."""
    values = parts.get("UNTIL")
    value = values[0] if isinstance(values, list) and values else values
    if value is None:
        return None
    if isinstance(value, datetime):
        return _instant_of(value, zone)
    if not isinstance(value, date):
        raise Unusable("its UNTIL cannot be read")
    return _instant_of(value, zone) + timedelta(days=1) - timedelta(microseconds=1)


def _listed(event: Any, name: str) -> list[Any]:
    given = event.get(name, [])
    values = [one.dt for part in (given if isinstance(given, list) else [given]) for one in part.dts]
    if len(values) > EVENTS_MAX or any(not isinstance(value, date) for value in values):
        raise Unusable(f"its {name} cannot be read")
    return values


def _names(event: Any) -> tuple[str, ...]:
    given = event.get("ATTENDEE", [])
    names = []
    for one in (given if isinstance(given, list) else [given])[:20]:
        if str(getattr(one, "params", {}).get("PARTSTAT", "")).upper() != "DECLINED":
            names.append(str(one).lower().removeprefix("mailto:").strip())
    names.append(_title(event))
    return tuple(dict.fromkeys(name for name in names if name))
