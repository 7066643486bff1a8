"""Business time: hours of a zone, compiled into UTC intervals. Pure arithmetic; docs/adr/0013-business-time.md has the rules."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: Minutes after the local midnight of the day on which the shift starts; the end may lie on the next day (up to 2,880).
Shift = tuple[int, int]
#: Business time is counted in whole microseconds since 1970-01-01 UTC.
SECOND = 1_000_000
DAY_MINUTES = 1440
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Years that are compiled around the first question, and how far they ever reach.
_BEFORE, _AFTER = timedelta(days=366), timedelta(days=4 * 366)
_FIRST, _LAST = date(1971, 1, 1), date(2200, 1, 1)


@dataclass(frozen=True, slots=True)
class Hours:
    """When work is done: a zone, shifts for Monday (0) to Sunday (6), and shifts that replace those of single dates.

    Shifts of a day are sorted and do not overlap. Exceptions may overlap a night shift of the evening before; together
    they count once.
    """

    zone: ZoneInfo
    weekly: tuple[tuple[Shift, ...], ...]
    exceptions: Mapping[date, tuple[Shift, ...]] = field(default_factory=dict)

    def on(self, day: date) -> tuple[Shift, ...]:
        """The shifts that start on this local date."""
        found = self.exceptions.get(day)
        return self.weekly[day.weekday()] if found is None else found

    @property
    def repeats(self) -> bool:
        """Whether there are weekly hours at all."""
        return any(self.weekly)

    @property
    def last_exception(self) -> date | None:
        """The last date with hours of its own."""
        return max(self.exceptions, default=None)


@dataclass(frozen=True, slots=True)
class Succession:
    """Hours that follow one another: each holds from its date on, the first before all dates, too. One zone for all."""

    parts: tuple[tuple[date, Hours], ...]

    @property
    def zone(self) -> ZoneInfo:
        return self.parts[0][1].zone

    def on(self, day: date) -> tuple[Shift, ...]:
        """The shifts that start on this local date."""
        now = self.parts[0][1]
        for since, hours in self.parts[1:]:
            if since <= day:
                now = hours
        return now.on(day)

    @property
    def repeats(self) -> bool:
        """Whether the last of them has weekly hours."""
        return self.parts[-1][1].repeats

    @property
    def last_exception(self) -> date | None:
        """The last date on which anything may still change."""
        dates = [day for since, hours in self.parts for day in (since, hours.last_exception) if day is not None]
        return max(dates, default=None)


def to_micros(instant: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int, zone: ZoneInfo | None = None) -> datetime:
    """Microseconds since 1970 as a datetime, in UTC or in a zone."""
    instant = _EPOCH + timedelta(microseconds=micros)
    return instant if zone is None else instant.astimezone(zone)


def instant_of(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """The instant at which a wall clock shows ``minute`` after midnight of ``day``: the first one if it comes twice, the
    first instant after the gap if it is skipped."""
    wall = datetime.combine(day, time.min) + timedelta(minutes=minute)
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    return _end_of_gap(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The transition between an instant before a gap and one after it, to the second."""
    low, high = to_micros(before) // SECOND, to_micros(after) // SECOND
    old = from_micros(low * SECOND, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if from_micros(middle * SECOND, zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return from_micros(high * SECOND)


class BusinessTime:
    """The compiled calendar. Answers in about a microsecond; grows its window by itself; safe to share between threads."""

    def __init__(self, hours: Hours | Succession) -> None:
        self.hours = hours
        self._window: _Window | None = None

    def elapsed(self, start: int, end: int) -> int:
        """Microseconds of business time from ``start`` to ``end``; 0 when ``end`` is not after ``start``."""
        if end <= start:
            return 0
        window = self._covering(start, end)
        return window.worked(end) - window.worked(start)

    def deadline(self, start: int, target: int) -> int | None:
        """The instant at which ``target`` microseconds have been worked since ``start``; None when that is never."""
        if target <= 0:
            return start
        window = self._window
        if window is None or not window.low <= start < window.high:
            window = self._covering(start, start)
        wanted = window.worked(start) + target
        while wanted > window.prefix[-1]:
            wider = self._wider(window)
            if wider is None:
                return None
            window = wider
            wanted = window.worked(start) + target
        index = bisect_left(window.prefix, wanted) - 1
        return window.starts[index] + wanted - window.prefix[index]

    def deadline_in_days(self, start: int, days: int) -> int | None:
        """The close of the ``days``-th working day after the local date of ``start`` (``days`` is 1 or more)."""
        day, left = from_micros(start, self.hours.zone).date(), days
        while left:
            day = day + timedelta(days=1)
            if day >= _LAST or (not self.hours.repeats and day > (self.hours.last_exception or day)):
                return None
            left -= bool(self.hours.on(day))
        return to_micros(instant_of(day, self.hours.on(day)[-1][1], self.hours.zone))

    def next_open(self, instant: int) -> int | None:
        """``instant`` itself within hours, otherwise the next opening; None when there is none."""
        almost = self.deadline(instant, 1)
        return None if almost is None else almost - 1

    def with_pauses(self, start: int, target: int, pauses: Iterable[tuple[int, int | None]]) -> int | None:
        """The deadline when the time in ``pauses`` (from, to; None: not ended yet) does not count. None while one lasts."""
        anchor, left = start, target
        for begin, end in sorted(pauses, key=lambda pause: pause[0]):
            if end is not None and end <= anchor:
                continue
            begin = max(begin, anchor)
            due = self.deadline(anchor, left)
            if due is not None and due <= begin:
                return due
            if end is None:
                return None
            left -= self.elapsed(anchor, begin)
            anchor = end
        return self.deadline(anchor, left)

    def _covering(self, start: int, end: int) -> _Window:
        window = self._window
        if window is not None and window.low <= start and end < window.high:
            return window
        low, high = _day_before(start) - _BEFORE, _day_before(end) + _AFTER
        if window is not None:
            low, high = min(low, window.first), max(high, window.last)
        self._window = window = _compile(self.hours, low, high)
        return window

    def _wider(self, window: _Window) -> _Window | None:
        """A window twice as long, or None when later days hold no more hours."""
        if not self.hours.repeats and window.last > (self.hours.last_exception or _FIRST) + timedelta(days=3):
            return None
        if window.last >= _LAST:
            return None
        self._window = wider = _compile(self.hours, window.first, window.last + (window.last - window.first))
        return wider


@dataclass(frozen=True, slots=True)
class _Window:
    """Merged intervals of the days from ``first`` to before ``last``; questions between ``low`` and ``high`` are safe."""

    first: date
    last: date
    low: int
    high: int
    starts: Sequence[int]
    ends: Sequence[int]
    #: Business time before each interval, and one more entry for the sum of all.
    prefix: Sequence[int]

    def worked(self, instant: int) -> int:
        index = bisect_right(self.starts, instant) - 1
        if index < 0:
            return 0
        end = self.ends[index]
        return self.prefix[index] + (instant if instant < end else end) - self.starts[index]


def _day_before(micros: int) -> date:
    return from_micros(micros).date() - timedelta(days=1)


def _compile(hours: Hours | Succession, first: date, last: date) -> _Window:
    first, last = max(first, _FIRST), min(last, _LAST)
    zone, day = hours.zone, first
    starts: list[int] = []
    ends: list[int] = []
    while day < last:
        for begin, finish in hours.on(day):
            start, end = (to_micros(instant_of(day, minute, zone)) for minute in (begin, finish))
            if end <= start:
                continue  # The whole shift fell into a gap.
            if ends and start <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        day += timedelta(days=1)
    prefix = [0]
    for start, end in zip(starts, ends, strict=True):
        prefix.append(prefix[-1] + end - start)
    # A night shift of the day before may reach two days into the window, which is why its edges are not asked about.
    low = to_micros(datetime.combine(first + timedelta(days=3), time.min, UTC))
    high = to_micros(datetime.combine(last - timedelta(days=3), time.min, UTC))
    return _Window(first, last, low, high, starts, ends, prefix)
