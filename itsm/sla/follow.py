"""Clocks follow their tickets: the bookkeeper that runs with every change, before its rows are written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from itsm.access.actors import actor_of_person
from itsm.access.decide import allows
from itsm.events.models import Event
from itsm.events.write import UnitOfWork
from itsm.kernel.actor import Actor
from itsm.sla.book import book
from itsm.sla.course import Course
from itsm.sla.facts import Fact, facts
from itsm.sla.rows import FIELDS, locked_clocks
from itsm.tenancy.models import Person
from itsm.tenancy.rows import update
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Ticket


def follow(work: UnitOfWork, ticket: Ticket, events: Sequence[Event]) -> None:
    """Bring the ticket's clocks up to these events of its own. The caller holds the ticket's lock, so clocks come after it."""
    if ticket.kind not in KINDS:
        return
    found = facts(ticket.kind, events, works=lambda _event: _works(work.actor, ticket))
    if not found:
        return
    tenant_id = work.actor.tenant_id
    rows, organisation_id = ([], None) if found[0].opened else locked_clocks(ticket)
    course = Course(
        tenant_id,
        ticket,
        cache(lambda: book(tenant_id)),
        rows,
        past=lambda: past_facts(tenant_id, ticket),
        organisation=(lambda: organisation_id)
        if rows
        else cache(lambda: _organisation(tenant_id, ticket.requester_id)),
    )
    for fact in found:
        course.take(fact)
    write(work, course)


def write(work: UnitOfWork, course: Course) -> None:
    """Put what the course came to into the unit of work: clocks, their events, and the ticket's next deadline."""
    ticket = course.ticket
    work.add(*course.new)
    new = {row.pk for row in course.new}
    for row in course.touched.values():
        if row.pk in new:
            continue
        if new:
            # At once: of a metric one clock is open, and one that ends makes room for the next, which is inserted first.
            update(row, FIELDS)
        else:
            work.changed(row, *FIELDS)
    work.add(*course.events)
    for one in course.retargeted:
        promise, version, due = one.before
        work.emit(
            "sla.retargeted",
            ticket,
            clock=one.row.pk,
            metric=one.row.metric,
            promise=[promise, one.row.promise],
            policy_version=[version, one.row.policy_version_id],
            due=[due, one.row.due_at],
            because=one.because.split(","),
        )
    if course.touched and ticket.due_at != course.due_at:
        ticket.due_at = course.due_at
        work.changed(ticket, "due_at")


def past_facts(tenant_id: UUID, ticket: Ticket) -> list[Fact]:
    """All that has happened to the ticket so far, as clocks see it."""
    stored = Event.objects.filter(tenant_id=tenant_id, ticket_id=ticket.pk).order_by("sequence")

    @lru_cache(maxsize=100)
    def known(person_id: UUID) -> bool:
        author = actor_of_person(tenant_id, person_id)
        return author is not None and _works(author, ticket)

    return facts(ticket.kind, list(stored), works=lambda event: event.actor_id is not None and known(event.actor_id))


def _organisation(tenant_id: UUID, person_id: UUID | None) -> UUID | None:
    if person_id is None:
        return None
    own = Person.objects.filter(tenant_id=tenant_id, pk=person_id)
    return own.values_list("organisation_id", flat=True).first()


def _works(actor: Actor, ticket: Any) -> bool:
    """Whether the actor works on the ticket, rather than waiting for it. What the product writes by itself answers nobody."""
    return actor.person_id is not None and allows(actor, "ticket.read_internal", ticket)
