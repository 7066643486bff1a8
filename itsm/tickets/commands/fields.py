"""Changing what a ticket says about itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from itsm.events.models import Event
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Problems
from itsm.kernel.texts import BODY_MAX, TITLE_MAX, clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.tenancy.models import Person
from itsm.tickets.fetch import lock_ticket, refuse_closed, refuse_unknown
from itsm.tickets.models import Category, Service, Ticket
from itsm.tickets.priority import priority_of


def update_ticket(
    *,
    actor: Actor,
    ticket_id: UUID,
    title: str | Unset = UNSET,
    description: str | Unset = UNSET,
    impact: int | Unset = UNSET,
    urgency: int | Unset = UNSET,
    service_id: UUID | None | Unset = UNSET,
    category_id: UUID | None | Unset = UNSET,
    requester_id: UUID | Unset = UNSET,
    expected_version: int | None = None,
    cause: Event | None = None,
) -> Ticket:
    """Change any of these fields; what is UNSET stays. Priority follows impact and urgency. Nothing to change: no event."""
    problems = Problems()
    clean: dict[str, Any] = {}
    if title is not UNSET:
        clean["title"] = clean_text(problems, "title", title, limit=TITLE_MAX, required=True, line=True)
    if description is not UNSET:
        clean["description"] = clean_text(problems, "description", description, limit=BODY_MAX)
    problems.raise_if_any()
    with unit_of_work(actor, cause=cause) as work:
        ticket = lock_ticket(actor, ticket_id, permission="ticket.update", expected_version=expected_version)
        refuse_closed(ticket, "update")
        if impact is not UNSET or urgency is not UNSET:
            clean["impact"] = ticket.impact if impact is UNSET else impact
            clean["urgency"] = ticket.urgency if urgency is UNSET else urgency
            clean["priority"] = priority_of(actor.tenant_id, clean["impact"], clean["urgency"])
        given: dict[str, tuple[Any, Any]] = {
            name: (model, value)
            for name, model, value in (
                ("service", Service, service_id),
                ("category", Category, category_id),
                ("requester", Person, requester_id),
            )
            if value is not UNSET
        }
        refuse_unknown(actor, **given)
        clean |= {f"{name}_id": value for name, (_, value) in given.items()}
        changes = {name: value for name, value in clean.items() if getattr(ticket, name) != value}
        if not changes:
            return ticket
        work.guard("ticket.update", ticket, changes)
        _record(work, ticket, changes)
        for name, value in changes.items():
            setattr(ticket, name, value)
        work.changed(ticket, *changes)
    return ticket


def _record(work: UnitOfWork, ticket: Ticket, changes: dict[str, Any]) -> None:
    """Ids and codes as [old, new]; of a text only that it changed, and the new one beside the event."""
    texts: dict[str, str] = {name: changes[name] for name in ("title", "description") if name in changes}
    pairs = {
        name.removesuffix("_id"): None if name in texts else [getattr(ticket, name), value]
        for name, value in changes.items()
    }
    work.emit("ticket.updated", ticket, changes=pairs, texts=texts)
