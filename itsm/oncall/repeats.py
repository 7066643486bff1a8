"""Repetition rules of calendars (RFC 5545), as far as shifts need them: which days an event falls on.

Each rule is a question about a single day, so that no rule, however hostile, takes longer than the days that are asked
about. What repeats within a day, or by week numbers and set positions, is refused. tests/oncall compares with dateutil.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from itsm.sla.calendar_file import DAYS

_DAY = timedelta(days=1)
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST"})
_NAMES = {day[:2].upper(): number for number, day in enumerate(DAYS)}


class Unusable(ValueError):
    """An event that cannot become a shift; the text says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which days are meant. ``weekdays`` are (n-th of the month or 0 for each, day of the week from Monday 0)."""

    frequency: str
    interval: int = 1
    count: int | None = None
    weekdays: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    week_start: int = 0

    def days(self, first: date, since: date, last: date) -> Iterator[date]:
        """The days from ``since`` to ``last`` on which something falls that begins on ``first``."""
        # Only a rule that counts has to be followed from its beginning.
        day, left = first if self.count is not None else max(first, since), self.count
        while day <= last and left != 0:
            if self._in_step(first, day) and self._fits(first, day):
                left = None if left is None else left - 1
                if day >= since:
                    yield day
            day += _DAY

    def _in_step(self, first: date, day: date) -> bool:
        if self.frequency == "DAILY":
            passed = (day - first).days
        elif self.frequency == "WEEKLY":
            passed = (self._week(day) - self._week(first)).days // 7
        elif self.frequency == "MONTHLY":
            passed = (day.year - first.year) * 12 + day.month - first.month
        else:
            passed = day.year - first.year
        return passed % self.interval == 0

    def _week(self, day: date) -> date:
        return day - timedelta(days=(day.weekday() - self.week_start) % 7)

    def _fits(self, first: date, day: date) -> bool:
        if self.months and day.month not in self.months:
            return False
        if not self.weekdays and not self.month_days:
            return self._like(first, day)
        length = monthrange(day.year, day.month)[1]
        if self.month_days and not {day.day, day.day - length - 1} & set(self.month_days):
            return False
        places = (0, (day.day - 1) // 7 + 1, -((length - day.day) // 7 + 1))
        return not self.weekdays or any(number == day.weekday() and place in places for place, number in self.weekdays)

    def _like(self, first: date, day: date) -> bool:
        """Whether a day repeats the first one where the rule names no days."""
        if self.frequency == "DAILY":
            return True
        if self.frequency == "WEEKLY":
            return day.weekday() == first.weekday()
        whole = self.frequency == "MONTHLY" or bool(self.months) or day.month == first.month
        return whole and day.day == first.day


def read_rule(parts: Mapping[str, Any]) -> Rule:
    """The rule of an RRULE's parts (each a list). Raises Unusable for one that is wrong or that shifts have no use for."""
    unknown = sorted(set(parts) - _PARTS)
    if unknown:
        raise Unusable(f"it repeats by {', '.join(unknown)[:80]}, which is not read here")
    frequency = str(_one(parts, "FREQ", "")).upper()
    if frequency not in _FREQUENCIES:
        raise Unusable(f"it repeats {frequency[:20] or 'without a FREQ'}; shifts repeat by {', '.join(_FREQUENCIES)}")
    if "COUNT" in parts and "UNTIL" in parts:
        raise Unusable("its RRULE has both COUNT and UNTIL")
    rule = Rule(
        frequency,
        _number(parts, "INTERVAL", 1),
        _number(parts, "COUNT", 0) if "COUNT" in parts else None,
        tuple(_weekday(value) for value in parts.get("BYDAY", ())),
        tuple(_within("BYMONTHDAY", value, range(-31, 32)) for value in parts.get("BYMONTHDAY", ())),
        tuple(_within("BYMONTH", value, range(1, 13)) for value in parts.get("BYMONTH", ())),
        _NAMES.get(str(_one(parts, "WKST", "MO")).upper(), 0),
    )
    counted = any(place for place, _ in rule.weekdays)
    if counted and (frequency in ("DAILY", "WEEKLY") or (frequency == "YEARLY" and not rule.months)):
        raise Unusable("its BYDAY counts days where only a month has them counted")
    if rule.month_days and frequency == "WEEKLY":
        raise Unusable("it repeats weekly by days of the month")
    return rule


def _one(parts: Mapping[str, Any], name: str, default: Any) -> Any:
    values = parts.get(name, [default])
    return values[0] if isinstance(values, list) and values else values


def _number(parts: Mapping[str, Any], name: str, default: int) -> int:
    return _within(name, _one(parts, name, default), range(1, 100_000))


def _within(name: str, value: Any, allowed: range) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number not in allowed or number == 0:
        raise Unusable(f"its RRULE has a {name} that is out of range")
    return number


def _weekday(value: Any) -> tuple[int, int]:
    text = str(value).upper().strip()
    place, name = text[:-2], text[-2:]
    if name not in _NAMES:
        raise Unusable("its RRULE has a BYDAY that is no day")
    return (_within("BYDAY", place, range(-5, 6)) if place else 0), _NAMES[name]
