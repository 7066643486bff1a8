"""Who is on call the slow way: minute by minute, by the latest wall time that the clock has shown. Shares no code with rota.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
#: One reading of a layer's clock: the latest wall time shown so far.
Seen = dict[int, datetime]


@dataclass
class SlowLayer:
    """A layer in plain words: wall times as datetimes, windows as (begin, end) in minutes for each day of the week."""

    zone: ZoneInfo
    first: datetime
    turn: timedelta
    people: list[str]
    weekly: list[list[tuple[int, int]]] | None

    def answer(self, wall: datetime) -> str | None:
        if wall < self.first or not self.is_open(wall):
            return None
        taken = 0
        handoff = self.first + self.turn
        while handoff <= wall:
            taken += 1
            handoff += self.turn
        return self.people[taken % len(self.people)]

    def is_open(self, wall: datetime) -> bool:
        if self.weekly is None:
            return True
        for back in (0, 1):
            day = wall.date() - timedelta(days=back)
            minute = (wall - datetime.combine(day, datetime.min.time())) // MINUTE
            if any(begin <= minute < end for begin, end in self.weekly[day.weekday()]):
                return True
        return False


def walk(
    layers: list[SlowLayer], overrides: list[tuple[datetime, datetime, str | None]], start: datetime, end: datetime
) -> Iterator[tuple[datetime, str | None]]:
    """(instant, who) for each minute. A clock that is set back does not undo what has happened, so its latest time counts."""
    instant = start - timedelta(days=2)
    seen = [datetime.combine(date.min, datetime.min.time()) for _ in layers]
    while instant < end:
        for number, layer in enumerate(layers):
            seen[number] = max(seen[number], instant.astimezone(layer.zone).replace(tzinfo=None, fold=0))
        if instant >= start:
            yield instant, _who(layers, overrides, seen, instant)
        instant += MINUTE


def _who(
    layers: list[SlowLayer],
    overrides: list[tuple[datetime, datetime, str | None]],
    seen: list[datetime],
    instant: datetime,
) -> str | None:
    found: str | None = None
    for layer, wall in zip(layers, seen, strict=True):
        found = layer.answer(wall) or found
    for begin, finish, who in overrides:
        if begin <= instant.astimezone(UTC) < finish:
            found = who
    return found
