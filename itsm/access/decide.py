"""The two questions that every door asks: may this actor do it (authorize), and what does it see (visible_to)."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.apps import apps
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from itsm.access.catalogue import PER_PROCESS, TABLE, Reach, Role, permissions_of
from itsm.kernel.actor import Actor, ActorKind
from itsm.kernel.errors import Forbidden

M = TypeVar("M", bound=Model)


class Subject(Protocol):
    """What a decision needs to know of a ticket."""

    pk: Any
    kind: str
    requester_id: UUID | None


def reach(actor: Actor, permission: str, process: str | None = None) -> Reach:
    """How far the actor gets with ``permission``, in the tickets of ``process`` (None: in any process at all)."""
    row = TABLE[permission]
    if actor.kind is ActorKind.SYSTEM:
        return row.get(Role.SYSTEM, Reach.NONE)
    best = Reach.NONE
    for grant in actor.grants:
        role = Role(grant.role)
        if role in PER_PROCESS and process is not None and grant.process != process:
            continue
        best = max(best, row.get(role, Reach.NONE))
    if actor.scopes is not None and (Role.INTEGRATION not in row or permission not in permissions_of(actor.scopes)):
        return Reach.NONE
    return best


def allows(actor: Actor, permission: str, ticket: Subject | None = None) -> bool:
    """Whether the actor may. With a ticket, the ticket must be one that the actor was able to fetch through visible_to()."""
    far = reach(actor, permission, ticket.kind if ticket is not None else None)
    if ticket is None or far is not Reach.OWN:
        return far is not Reach.NONE
    return ticket.requester_id is not None and ticket.requester_id == actor.person_id


def authorize(actor: Actor, permission: str, ticket: Subject | None = None) -> None:
    """Raise Forbidden, naming the permission, unless the actor may."""
    if not allows(actor, permission, ticket):
        raise Forbidden(permission, **({"ticket": str(ticket.pk)} if ticket is not None else {}))


def ticket_filter(actor: Actor, prefix: str = "") -> Q | None:
    """The condition under which the actor sees a ticket; None when it sees every one. ``prefix`` leads to the ticket.

    The oracle for this function is tests/access/test_visibility.py, which says the same in plain Python.
    """
    if actor.kind is ActorKind.SYSTEM:
        return None
    kinds = _readable_kinds(actor)
    if kinds == frozenset() and not actor.person_id:
        return Q(pk__in=[])
    not_hidden = ~Q(**{f"{prefix}team_id__in": sorted(actor.hidden_teams)}) if actor.hidden_teams else Q()
    if kinds is None and not actor.hidden_teams:
        return None
    seen = Q(pk__in=[])
    if kinds is None:
        seen = not_hidden
    elif kinds:
        seen = Q(**{f"{prefix}kind__in": sorted(kinds)}) & not_hidden
    if actor.person_id is not None and reach(actor, "ticket.read") is not Reach.NONE:
        seen |= Q(**{f"{prefix}requester_id": actor.person_id})
        watcher = apps.get_model("tickets", "Watcher")
        watched = watcher.objects.filter(ticket_id=OuterRef(f"{prefix}id"), person_id=actor.person_id)
        seen |= Q(Exists(watched)) & not_hidden
    return seen


def _readable_kinds(actor: Actor) -> frozenset[str] | None:
    """Kinds of which the actor reads all that is not hidden; None for all kinds."""
    kinds: set[str] = set()
    if actor.scopes is not None and reach(actor, "ticket.read") is Reach.NONE:
        return frozenset()
    for grant in actor.grants:
        role = Role(grant.role)
        if TABLE["ticket.read"].get(role) is Reach.ALL:
            if role not in PER_PROCESS:
                return None
            kinds.add(grant.process or "")
    return frozenset(kinds)


def visible_to(actor: Actor, tickets: QuerySet[M], prefix: str = "") -> QuerySet[M]:
    """Narrow a queryset of tickets (or, with ``prefix="ticket__"``, of what hangs on tickets) to what the actor sees."""
    condition = ticket_filter(actor, prefix)
    narrowed = tickets.filter(tenant_id=actor.tenant_id)
    return narrowed if condition is None else narrowed.filter(condition)
