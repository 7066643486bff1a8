"""How a command gets hold of what it acts on: through visibility, under lock, at the version that the actor saw."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.utils import translation

from itsm.access.decide import authorize, visible_to
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Conflict, IllegalTransition, NotFound, Problems
from itsm.tenancy.fields import TenantModel
from itsm.tickets.models import Ticket


def lock_ticket(
    actor: Actor,
    ticket_id: UUID,
    *,
    permission: str | None = None,
    expected_version: int | None = None,
    kind: str | None = None,
) -> Ticket:
    """The ticket, locked until the transaction ends.

    Raises NotFound when it is unknown or invisible (the same answer for both), then Forbidden when ``permission`` is named
    and missing, then Conflict when the ticket is no longer at ``expected_version``.
    """
    tickets = visible_to(actor, Ticket.objects.all()).filter(pk=ticket_id)
    if kind is not None:
        tickets = tickets.filter(kind=kind)
    # Not first(), which would have one row put in order. Keys never change, so rows that refer to the ticket need not wait:
    # above all the sweep's fires, whose clock the change may be waiting for.
    ticket: Ticket | None = next(iter(tickets.select_for_update(of=("self",), no_key=True)), None)
    if ticket is None:
        raise NotFound
    if permission is not None:
        authorize(actor, permission, ticket)
    if expected_version is not None and ticket.version != expected_version:
        raise Conflict(current=ticket.version, expected=expected_version)
    return ticket


def read_ticket(actor: Actor, ticket_id: UUID, kind: str | None = None) -> Ticket:
    """The ticket without a lock. Raises NotFound like lock_ticket()."""
    tickets = visible_to(actor, Ticket.objects.select_related("requester", "assignee", "team", "service", "category"))
    ticket: Ticket | None = tickets.filter(pk=ticket_id, **({"kind": kind} if kind else {})).first()
    if ticket is None:
        raise NotFound
    return ticket


def refuse_closed(ticket: Ticket, verb: str) -> None:
    """Raise IllegalTransition for a ticket that is closed or canceled: nothing about it changes any more."""
    if ticket.state_category in {"closed", "canceled"}:
        with translation.override("en"):
            state = str(ticket.get_state_category_display())
        raise IllegalTransition(
            verb,
            state,
            [],
            state_key=ticket.state_category,
            detail=f"{ticket.number} is {state} and cannot be changed. Open a follow-up instead.",
        )


def refuse_unknown(actor: Actor, **named: tuple[type[TenantModel], UUID | None]) -> None:
    """Raise Invalid unless each input field that is not empty names an active object of this tenant. One query for all."""
    asked = {field: (model, value) for field, (model, value) in named.items() if value is not None}
    if not asked:
        return
    active = [
        f"EXISTS (SELECT FROM {model._meta.db_table} WHERE tenant_id = %s AND id = %s AND is_active)"
        for model, _ in asked.values()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(active)}", [part for _, value in asked.values() for part in (actor.tenant_id, value)]
        )
        known = cursor.fetchone()
    problems = Problems()
    for (field, (model, _)), found in zip(asked.items(), known, strict=True):
        if not found:
            problems.add(field, "unknown_reference", f"There is no active {model._meta.verbose_name} with this id.")
    problems.raise_if_any()
