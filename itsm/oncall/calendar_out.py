"""Shifts as an iCalendar text (RFC 5545), for calendar programs that subscribe to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from django.utils.translation import gettext as _
from icalendar import Calendar, Event

from itsm.oncall.rota import Shift
from itsm.oncall.schedules import Plan

_PRODUCT = "-//Viable//On call//EN"


def write_calendar(
    name: str, plans: Iterable[Plan], start: datetime, end: datetime, *, person: UUID | None = None
) -> bytes:
    """The shifts of these schedules that touch the window, gaps among them; of ``person`` alone when one is named.

    An event keeps its UID as long as its turn begins at the same time, whoever takes it.
    """
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("x-wr-calname", name)
    for plan in plans:
        for shift in plan.turns(start, end):
            if person is None or shift.person == person:
                calendar.add_component(_event(plan, shift, own=person is not None))
    return bytes(calendar.to_ical())


def _event(plan: Plan, shift: Shift, *, own: bool) -> Event:
    event = Event()
    source = shift.duty.source if shift.duty else "gap"
    event.add("uid", f"{plan.schedule.pk}-{source}-{shift.start.astimezone(UTC):%Y%m%dT%H%M%SZ}@viable")
    # When the answer was last different is not known; the rules' own date does not change from fetch to fetch.
    event.add("dtstamp", plan.schedule.created_at.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", shift.start.astimezone(UTC))
    event.add("dtend", shift.end.astimezone(UTC))
    event.add("summary", _summary(plan, shift, own=own))
    event.add("description", plan.source_name(shift) or (_("Override") if shift.person else ""))
    event.add("status", "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    return event


def _summary(plan: Plan, shift: Shift, *, own: bool) -> str:
    schedule = plan.schedule.name
    if shift.person is None:
        return _("Nobody on call – %(schedule)s") % {"schedule": schedule}
    if own:
        return _("On call – %(schedule)s") % {"schedule": schedule}
    return f"{plan.people[shift.person].name} – {schedule}"
