"""Who is on call: turns, restrictions and overrides as wall-clock rules. Pure arithmetic; the rules: docs/adr/0015-on-call.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

from itsm.sla.calendar import Shift as Hours
from itsm.sla.calendar import instant_of

DAY_MINUTES = 1440
_DAY = timedelta(days=1)
NOBODY_AWAY: frozenset[UUID] = frozenset()
#: The same few handoffs are asked for again and again.
_instant = lru_cache(maxsize=16_384)(instant_of)


@dataclass(frozen=True, slots=True)
class Layer:
    """People who take turns. A turn ends where the next one begins, by the wall clock of ``zone``; nothing has a length."""

    key: UUID
    zone: ZoneInfo
    #: The first turn begins on this local date, at ``handoff`` minutes after midnight.
    start: date
    handoff: int
    #: Minutes by which the wall clock moves on from handoff to handoff: 1,440 is a day, 10,080 a week.
    turn: int
    people: tuple[UUID, ...]
    #: Hours for Monday (0) to Sunday (6) in which this layer is on call at all; None: always. As in itsm/sla/calendar.py.
    weekly: tuple[tuple[Hours, ...], ...] | None = None

    def handoff_at(self, number: int) -> datetime:
        """The instant at which turn ``number`` (0 is the first) begins."""
        return _instant(self.start, self.handoff + number * self.turn, self.zone)

    def turn_at(self, instant: datetime) -> int | None:
        """The turn that runs at ``instant``; None before the first one."""
        wall = instant.astimezone(self.zone).replace(tzinfo=None, fold=0)
        first = datetime.combine(self.start, time.min) + timedelta(minutes=self.handoff)
        number = (wall - first) // timedelta(minutes=self.turn)
        # In the second pass of an hour that comes twice, a handoff within it has been already; one that fell into a gap
        # is followed by the next at once.
        while self.handoff_at(number + 1) <= instant:
            number += 1
        return None if number < 0 else number

    def is_open(self, instant: datetime) -> bool:
        """Whether the restrictions let this layer be on call at ``instant``."""
        if self.weekly is None:
            return True
        day = instant.astimezone(self.zone).date()
        # Tomorrow as well: where a clock is set back over midnight, tomorrow has begun before today comes again.
        return any(
            begin <= instant < end for one in (day - _DAY, day, day + _DAY) for begin, end in self.windows_of(one)
        )

    def windows_of(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The windows that start on a local date; a night belongs to the day on which it starts."""
        for begin, end in self.weekly[day.weekday()] if self.weekly else ():
            yield _instant(day, begin, self.zone), _instant(day, end, self.zone)

    def edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Handoffs and edges of windows between two instants, and possibly some beyond."""
        number = self.turn_at(start)
        number = 0 if number is None else number
        while (handoff := self.handoff_at(number)) < end:
            yield handoff
            number += 1
        if self.weekly is not None:
            day, last = start.astimezone(self.zone).date() - 2 * _DAY, end.astimezone(self.zone).date() + 2 * _DAY
            while day <= last:
                for window in self.windows_of(day):
                    yield from window
                day += _DAY


@dataclass(frozen=True, slots=True)
class Override:
    """From ``start`` to before ``end`` this person is on call in the first place, or (None) deliberately nobody."""

    key: UUID
    start: datetime
    end: datetime
    person: UUID | None


@dataclass(frozen=True, slots=True)
class Rota:
    """A schedule. A later layer covers the earlier ones, a later override the earlier ones, an override all layers."""

    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True)
class Duty:
    """Somebody's duty, and what gives it: turn ``turn`` of the layer ``source``, or the override ``source``."""

    person: UUID | None
    source: UUID
    turn: int | None = None

    @property
    def is_override(self) -> bool:
        return self.turn is None


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is on call at an instant: the first level first. ``skipped`` are those whose turn it was and who have left."""

    duties: tuple[Duty, ...] = ()
    skipped: tuple[UUID, ...] = ()

    @property
    def first(self) -> Duty | None:
        return self.duties[0] if self.duties else None


@dataclass(frozen=True, slots=True)
class Shift:
    """A stretch of time with one answer. ``person`` None is a gap: nobody is on call."""

    start: datetime
    end: datetime
    person: UUID | None
    #: What gives the shift (a layer or an override); None where nothing does.
    duty: Duty | None = None
    skipped: tuple[UUID, ...] = field(default=())


def on_call_at(rota: Rota, instant: datetime, away: frozenset[UUID] = NOBODY_AWAY) -> Standing:
    """Who is on call at ``instant`` (aware). People in ``away`` are passed over, and named.

    Level 1 is the latest override that covers the instant, or else the top layer that has somebody; every further level is
    the next layer below. Nobody stands on two levels.
    """
    skipped: list[UUID] = []
    override = _covering(rota, instant, away, skipped)
    found: list[Duty] = []
    for layer in reversed(rota.layers):
        number = layer.turn_at(instant)
        if number is None or not layer.is_open(instant):
            continue
        person = layer.people[number % len(layer.people)]
        if person in away:
            skipped.append(person)
        else:
            found.append(Duty(person, layer.key, number))
    if override is not None:
        found[:1] = [Duty(override.person, override.key)]
    once: dict[UUID | None, Duty] = {}
    for duty in found:
        once.setdefault(duty.person, duty)
    return Standing(tuple(once.values()), tuple(dict.fromkeys(skipped)))


def _covering(rota: Rota, instant: datetime, away: frozenset[UUID], skipped: list[UUID]) -> Override | None:
    for override in reversed(rota.overrides):
        if override.start <= instant < override.end:
            if override.person is None or override.person not in away:
                return override
            skipped.append(override.person)
    return None


def shifts(rota: Rota, start: datetime, end: datetime, away: frozenset[UUID] = NOBODY_AWAY) -> list[Shift]:
    """The first level from ``start`` to ``end`` without a hole: what adjoins and comes from one source is one shift."""
    return _merged(_pieces(rota, start, end, away), turns=False)


def gaps(rota: Rota, start: datetime, end: datetime, away: frozenset[UUID] = NOBODY_AWAY) -> list[Shift]:
    """When nobody is on call between ``start`` and ``end``; deliberate or not."""
    return [shift for shift in shifts(rota, start, end, away) if shift.person is None]


def turns(rota: Rota, start: datetime, end: datetime, away: frozenset[UUID] = NOBODY_AWAY) -> list[Shift]:
    """Shifts that touch the window, turn by turn and each in its whole length: the same ones from whichever day one asks.

    Gaps that reach over an edge of the window have no edge of their own and are left out.
    """
    low = min([start, *_bounds(rota, start, away, 0)])
    high = max([end, *_bounds(rota, end, away, 1)])
    whole = _merged(_pieces(rota, low, high, away), turns=True)
    return [
        shift
        for shift in whole
        if shift.end > start
        and shift.start < end
        and (shift.person is not None or (shift.start > low and shift.end < high))
    ]


def _bounds(rota: Rota, instant: datetime, away: frozenset[UUID], side: int) -> Iterator[datetime]:
    """Where the turn or override that runs at ``instant`` begins (side 0) or ends (side 1)."""
    duty = on_call_at(rota, instant, away).first
    if duty is None:
        return
    for override in rota.overrides:
        if override.key == duty.source:
            yield (override.start, override.end)[side]
    for layer in rota.layers:
        if layer.key == duty.source and duty.turn is not None:
            yield layer.handoff_at(duty.turn + side)


def _pieces(rota: Rota, start: datetime, end: datetime, away: frozenset[UUID]) -> Iterator[Shift]:
    """The answer does not change between two edges, so that asking once between them is enough."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    edges = {start, end}
    for layer in rota.layers:
        edges.update(edge for edge in layer.edges(start, end) if start < edge < end)
    for override in rota.overrides:
        edges.update(edge for edge in (override.start, override.end) if start < edge < end)
    for begin, finish in pairwise(sorted(edges)):
        standing = on_call_at(rota, begin, away)
        duty = standing.first
        yield Shift(begin, finish, duty.person if duty else None, duty, standing.skipped)


def _merged(pieces: Iterator[Shift], *, turns: bool) -> list[Shift]:
    found: list[Shift] = []
    for piece in pieces:
        if found and _alike(found[-1], piece, turns=turns):
            found[-1] = replace(found[-1], end=piece.end)
        else:
            found.append(piece)
    return found


def _alike(one: Shift, other: Shift, *, turns: bool) -> bool:
    if (one.person, one.skipped, one.duty is None) != (other.person, other.skipped, other.duty is None):
        return False
    if one.duty is None or other.duty is None:
        return True
    return one.duty == other.duty if turns else one.duty.source == other.duty.source
