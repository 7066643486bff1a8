"""Merging duplicates: one incident goes on, the other closes and points to it."""

from __future__ import annotations

from uuid import UUID

from incidents.commands import major
from incidents.commands.base import begin, enter
from incidents.flow import KIND
from incidents.models import CloseCode
from itsm.access.decide import authorize
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound
from itsm.tickets.commands.relations import ancestors, hand_over_children
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import LinkKind, Ticket, TicketLink, Watcher


def merge_incident(
    *,
    actor: Actor,
    ticket_id: UUID,
    into_id: UUID,
    expected_version: int | None = None,
    cause: Event | None = None,
) -> Ticket:
    """Close ``ticket_id`` as a duplicate of ``into_id``.

    Its requester and watchers follow the other one from now on, and so do its children.
    """
    if ticket_id == into_id:
        raise Invalid.one("into", "itself", "An incident cannot be merged into itself.")
    with unit_of_work(actor, cause=cause) as work:
        target = _lock_both(actor, ticket_id, into_id)
        # Who may not merge at all learns nothing about what he names.
        ticket, incident, state = begin(work, "merge", ticket_id, expected_version)
        if target is None:
            raise Invalid.one("into", "unknown_reference", "There is no incident with this id to merge into.")
        authorize(actor, "incident.merge", target)
        if not target.is_open:
            raise Invalid.one("into", "not_open", f"{target.number} is not open: merge into an open incident.")
        major.refuse_merge(ticket, target)
        pair = enter(work, ticket, state)
        ticket.closed_at, ticket.duplicate_of_id = work.now, target.pk
        incident.close_code, incident.closed_by_id, incident.hold_reason = CloseCode.DUPLICATE, actor.person_id, ""
        work.changed(ticket, "closed_at", "duplicate_of")
        work.changed(incident, "close_code", "closed_by", "hold_reason")
        new = _new_followers(ticket, target)
        work.add(
            TicketLink(
                tenant_id=actor.tenant_id,
                source_id=ticket.pk,
                target_id=target.pk,
                kind=LinkKind.DUPLICATES,
                created_at=work.now,
            ),
            *(Watcher(tenant_id=actor.tenant_id, ticket_id=target.pk, person_id=person) for person in new),
        )
        work.emit("incident.merged", ticket, state=pair, target=target.pk)
        work.emit("incident.absorbed", target, duplicate=ticket.pk, watchers=new)
        hand_over_children(work, ticket, target)
        major.merged(work, ticket, target)
    return ticket


def _lock_both(actor: Actor, ticket_id: UUID, into_id: UUID) -> Ticket | None:
    """Lock both rows; answers the second one, or None when the actor knows none. Raises NotFound for the first one only.

    Parents first as in the cascade and otherwise in the order of their ids, so that two merges the other way round cannot
    wait for each other.
    """
    locked: dict[UUID, Ticket] = {}
    for one in sorted((ticket_id, into_id), key=_lock_order):
        try:
            locked[one] = lock_ticket(actor, one, kind=KIND)
        except NotFound:
            if one == ticket_id:
                raise
    return locked.get(into_id)


def _new_followers(ticket: Ticket, target: Ticket) -> list[UUID]:
    """Requester and watchers of ``ticket`` who do not follow ``target`` yet."""
    followers = set(Watcher.objects.filter(ticket_id=ticket.pk).values_list("person_id", flat=True))
    followers |= {ticket.requester_id}
    followers -= set(Watcher.objects.filter(ticket_id=target.pk).values_list("person_id", flat=True))
    return sorted(followers - {target.requester_id, None})


def _lock_order(ticket_id: UUID) -> tuple[int, UUID]:
    found = Ticket.objects.filter(pk=ticket_id).first()
    return (len(ancestors(found)) if found else 0, ticket_id)
