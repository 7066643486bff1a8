"""Clocks of a desk in tests: a week to speak of, and the rows in few words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from itsm.kernel import clock
from itsm.sla.models import SlaCalendar, SlaClock, SlaPolicy, SlaPolicyVersion
from itsm.tickets.models import Ticket
from tests.factories import Desk

#: Monday, 23 November 2026, midnight UTC.
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = 3_600_000_000


def on(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A time in that week: day 1 is Monday, 8 the Monday after."""
    return MONDAY + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> Any:
    """Commands in this block act then."""
    return clock.at(on(day, hour, minute, second))


def clocks(desk: Desk, ticket: Ticket) -> dict[str, SlaClock]:
    """The newest clock of each metric."""
    with desk.inside():
        return {row.metric: row for row in SlaClock.objects.filter(ticket_id=ticket.pk).order_by("cycle", "pk")}


def policy(desk: Desk, name: str, metric: str, calendar: str = "24x7", **terms: Any) -> SlaPolicy:
    """A policy that stands before those of a new tenant."""
    with desk.inside():
        found = SlaCalendar.objects.get(name=calendar)
        row = SlaPolicy.objects.create(name=name, metric=metric, position=1)
        SlaPolicyVersion.objects.create(policy=row, version=1, terms={"calendar": str(found.pk), **terms})
    return row


def due_at(desk: Desk, ticket: Ticket) -> datetime | None:
    """The next deadline on the spine."""
    with desk.inside():
        return Ticket.objects.values_list("due_at", flat=True).get(pk=ticket.pk)
