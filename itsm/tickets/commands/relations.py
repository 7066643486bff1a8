"""Watchers, links between tickets, and parents."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from itsm.access.actors import actor_of_person
from itsm.access.decide import allows, authorize, visible_to
from itsm.events.models import Event
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound
from itsm.tenancy.models import Person
from itsm.tickets.fetch import lock_ticket, refuse_closed, refuse_unknown
from itsm.tickets.models import LinkKind, Ticket, TicketLink, Watcher

#: How many levels of parents are followed before a chain counts as a loop.
_MAX_PARENTS = 10


def watch_ticket(*, actor: Actor, ticket_id: UUID, person_id: UUID | None = None) -> None:
    """Follow a ticket, or let another person follow it. Whoever watches may read its public side; twice is once."""
    person_id = person_id or actor.person_id
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id)
        authorize(actor, "ticket.watch" if person_id == actor.person_id else "ticket.manage_watchers", ticket)
        refuse_closed(ticket, "watch")
        if person_id is None:
            raise Invalid.one("person", "required", "Name the person who shall watch.")
        refuse_unknown(actor, person=(Person, person_id))
        if ticket.team_id is not None:
            other = actor_of_person(actor.tenant_id, person_id)
            if other is None or ticket.team_id in other.hidden_teams:
                raise Invalid.one("person", "not_a_member", "Only members of a restricted team may watch its tickets.")
        if Watcher.objects.filter(ticket_id=ticket.pk, person_id=person_id).exists():
            return
        work.add(Watcher(tenant_id=actor.tenant_id, ticket_id=ticket.pk, person_id=person_id))
        work.emit("ticket.watched", ticket, person=person_id)


def unwatch_ticket(*, actor: Actor, ticket_id: UUID, person_id: UUID | None = None) -> None:
    """Stop following. Not watching already is no error."""
    person_id = person_id or actor.person_id
    if person_id is None:
        return
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id)
        authorize(actor, "ticket.watch" if person_id == actor.person_id else "ticket.manage_watchers", ticket)
        deleted, _ = Watcher.objects.filter(ticket_id=ticket.pk, person_id=person_id).delete()
        if deleted:
            work.emit("ticket.unwatched", ticket, person=person_id)


def link_tickets(*, actor: Actor, ticket_id: UUID, target_id: UUID, kind: str = LinkKind.RELATES) -> TicketLink:
    """Link a ticket to another one that the actor can see. Linking twice answers the link that is there."""
    if kind not in LinkKind.values:
        raise Invalid.one("kind", "unknown_link", f"kind must be one of {', '.join(LinkKind.values)}.")
    if ticket_id == target_id:
        raise Invalid.one("target", "itself", "A ticket cannot be linked to itself.")
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id, permission="ticket.link")
        refuse_closed(ticket, "link")
        target = _visible(actor, target_id, "target")
        there = TicketLink.objects.filter(source_id=ticket.pk, target_id=target.pk, kind=kind).first()
        if there is not None:
            return there  # type: ignore[no-any-return]
        link = TicketLink(
            tenant_id=actor.tenant_id, source_id=ticket.pk, target_id=target.pk, kind=kind, created_at=work.now
        )
        work.add(link)
        work.emit("ticket.linked", ticket, target=target.pk, link=kind)
    return link


def unlink_tickets(*, actor: Actor, ticket_id: UUID, link_id: UUID) -> None:
    """Remove one of the ticket's links. Raises NotFound when it has no such link."""
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id, permission="ticket.link")
        refuse_closed(ticket, "unlink")
        link = TicketLink.objects.filter(pk=link_id, source_id=ticket.pk).first()
        if link is None:
            raise NotFound
        work.emit("ticket.unlinked", ticket, target=link.target_id, link=link.kind)
        link.delete()


def set_parent(
    *,
    actor: Actor,
    ticket_id: UUID,
    parent_id: UUID | None,
    expected_version: int | None = None,
    cause: Event | None = None,
) -> Ticket:
    """Make a ticket the child of another one of its kind, whose progress it then follows; None makes it independent."""
    with unit_of_work(actor, cause=cause) as work:
        if parent_id is not None:
            # One at a time in a tenant: two changes far apart could close a ring that neither of them sees.
            _alone(actor.tenant_id)
            # Parents before children, as in the cascade; under lock, so that it cannot close before the child is its own.
            list(visible_to(actor, Ticket.objects.filter(pk=parent_id)).select_for_update(of=("self",), no_key=True))
        ticket = lock_ticket(actor, ticket_id, permission="ticket.link", expected_version=expected_version)
        refuse_closed(ticket, "set_parent")
        if parent_id == ticket.parent_id:
            return ticket
        if parent_id is not None:
            parent = _visible(actor, parent_id, "parent")
            if parent.kind != ticket.kind:
                raise Invalid.one("parent", "other_kind", "Parent and child must be tickets of the same kind.")
            if not parent.is_open:
                raise Invalid.one("parent", "not_open", "The parent must be open.")
            _refuse_loop(ticket, parent)
        _move_below(work, ticket, parent_id)
    return ticket


def _alone(tenant_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"parents of {tenant_id}"])


def hand_over_children(work: UnitOfWork, ticket: Ticket, target: Ticket) -> None:
    """The children of a locked ticket that ends as a duplicate follow the locked ``target`` from now on.

    Where the target stands below the ticket itself, it becomes independent first.
    """
    above = ancestors(target)
    if ticket.pk in above:
        _move_below(work, target, None)
    children = Ticket.objects.select_for_update(no_key=True).filter(parent_id=ticket.pk).exclude(pk=target.pk)
    for child in children.exclude(state_category__in=["closed", "canceled"]).order_by("pk"):
        _move_below(work, child, target.pk)


def ancestors(ticket: Ticket) -> list[UUID]:
    """Ids of the parents above a ticket, the nearest first."""
    found: list[UUID] = []
    parent_id = ticket.parent_id
    while parent_id is not None and len(found) < _MAX_PARENTS:
        found.append(parent_id)
        parent_id = Ticket.objects.filter(pk=parent_id).values_list("parent_id", flat=True).first()
    return found


def _move_below(work: UnitOfWork, ticket: Ticket, parent_id: UUID | None) -> None:
    work.emit("ticket.updated", ticket, changes={"parent": [ticket.parent_id, parent_id]})
    ticket.parent_id = parent_id
    work.changed(ticket, "parent")


def _visible(actor: Actor, ticket_id: UUID, field: str) -> Ticket:
    found: Ticket | None = visible_to(actor, Ticket.objects.filter(pk=ticket_id)).first()
    if found is None or not allows(actor, "ticket.read", found):
        raise Invalid.one(field, "unknown_reference", f"There is no ticket with this id for {field}.")
    return found


def _refuse_loop(ticket: Ticket, parent: Ticket) -> None:
    above = [parent.pk, *ancestors(parent)]
    if ticket.pk in above:
        raise Invalid.one("parent", "loop", "This would make the ticket its own ancestor.")
    if len(above) > _MAX_PARENTS:
        raise Invalid.one("parent", "too_deep", f"Parents may be nested {_MAX_PARENTS} levels deep.")
