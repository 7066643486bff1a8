"""A schedule as its page shows it: who is on call now, and a week of days in the reader's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from itsm.oncall.models import OnCallLayer, Unit
from itsm.oncall.rota import Shift
from itsm.oncall.schedules import Plan
from itsm.sla.calendar import instant_of
from itsm.sla.calendar_file import DAYS
from itsm.tenancy.models import Person

#: How far "until" and "then" look.
AHEAD: Final = timedelta(days=31)
#: Shorter holes are told apart in the grid by their times alone; a day shows at most this many stretches.
STRETCHES_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of one day: its times as words ("" for the whole day) and who is on call; None is a gap."""

    times: str
    person: Person | None
    note: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the grid."""

    date: date
    stretches: list[Stretch]
    #: How many more there are than are shown.
    more: int = 0


@dataclass(frozen=True, slots=True)
class Now:
    """The answer to "who is on call now": the levels in order, until when, and who comes then."""

    people: list[Person | None]
    until: datetime | None
    then: Person | None
    then_gap: bool
    skipped: list[Person]

    @property
    def is_gap(self) -> bool:
        return not self.people or self.people[0] is None


@dataclass(frozen=True, slots=True)
class Board:
    """One schedule on the page."""

    plan: Plan
    now: Now
    days: list[Day]
    gaps: list[Shift]

    @property
    def this_week(self) -> list[Day]:
        return self.days[:7]

    @property
    def next_week(self) -> list[Day]:
        return self.days[7:]


def reader_zone() -> ZoneInfo:
    """The zone that this page is read in."""
    zone = timezone.get_current_timezone()
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")


def board_of(plan: Plan, at: datetime, *, days: int = 7, reader: object = None) -> Board:
    """Now and the days from today on, for whoever reads; ``reader`` is the id of the person whose shifts stand out."""
    zone = reader_zone()
    today = at.astimezone(zone).date()
    dates = [today + timedelta(days=number) for number in range(days + 1)]
    edges = [instant_of(one, 0, zone) for one in dates]
    found = plan.shifts(edges[0], edges[-1])
    grid = [
        _day(plan, one, start, end, found, zone, reader)
        for one, (start, end) in zip(dates, pairwise(edges), strict=False)
    ]
    gaps = [shift for shift in found if shift.person is None and shift.end > at]
    return Board(plan, _now(plan, at), grid, gaps)


def turns_text(layer: OnCallLayer) -> str:
    """How often a layer hands off."""
    words = {
        Unit.HOURS: (_("every hour"), _("every %(number)s hours")),
        Unit.DAYS: (_("every day"), _("every %(number)s days")),
        Unit.WEEKS: (_("every week"), _("every %(number)s weeks")),
    }
    return words[Unit(layer.unit)][layer.every > 1] % {"number": layer.every}


def hours_text(layer: OnCallLayer) -> list[str]:
    """When a layer is on call at all, days with the same hours in one line; empty: always."""
    lines: list[tuple[int, int, str]] = []
    for number, day in enumerate(DAYS):
        spans = ", ".join("–".join(span) for span in layer.restrictions.get(day, ()))
        if spans and lines and lines[-1][1:] == (number - 1, spans):
            lines[-1] = (lines[-1][0], number, spans)
        elif spans:
            lines.append((number, number, spans))
    names = WEEKDAYS_ABBR
    return [f"{names[a]}{f'–{names[b]}' if b != a else ''} {spans}" for a, b, spans in lines]


def _now(plan: Plan, at: datetime) -> Now:
    standing = plan.at(at)
    ahead = plan.shifts(at, at + AHEAD)
    until = ahead[0].end if len(ahead) > 1 else None
    then = ahead[1].person if len(ahead) > 1 else None
    return Now(
        [plan.people[duty.person] if duty.person else None for duty in standing.duties],
        until,
        plan.people[then] if then else None,
        until is not None and then is None,
        [plan.people[one] for one in standing.skipped],
    )


def _day(
    plan: Plan,
    day: date,
    start: datetime,
    end: datetime,
    found: list[Shift],
    zone: ZoneInfo,
    reader: object,
) -> Day:
    touching = [shift for shift in found if shift.start < end and shift.end > start]
    stretches = [
        Stretch(
            _times(max(shift.start, start), min(shift.end, end), start, end, zone),
            plan.people[shift.person] if shift.person else None,
            _note(plan, shift),
            own=shift.person is not None and shift.person == reader,
        )
        for shift in touching[:STRETCHES_MAX]
    ]
    return Day(day, stretches, max(len(touching) - STRETCHES_MAX, 0))


def _times(start: datetime, end: datetime, day_start: datetime, day_end: datetime, zone: ZoneInfo) -> str:
    if (start, end) == (day_start, day_end):
        return ""
    last = "24:00" if end == day_end else date_format(end.astimezone(zone), "H:i")
    return f"{date_format(start.astimezone(zone), 'H:i')}–{last}"


def _note(plan: Plan, shift: Shift) -> str:
    if shift.skipped:
        return _("%(name)s has left and is passed over") % {
            "name": ", ".join(plan.people[p].name for p in shift.skipped)
        }
    if shift.duty is not None and shift.duty.is_override:
        return _("Override")
    return plan.source_name(shift)
