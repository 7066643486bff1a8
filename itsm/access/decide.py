"""The two questions that every door asks: may this actor do it (authorize), and what does it see (visible_to)."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from itsm.access.catalogue import PER_PROCESS, TABLE, Reach, Role, kinds_opened
from itsm.access.watching import watching
from itsm.kernel.actor import Actor, ActorKind
from itsm.kernel.errors import Forbidden

M = TypeVar("M", bound=Model)


class Subject(Protocol):
    """What a decision needs to know of a ticket."""

    pk: Any
    kind: str
    requester_id: UUID | None
    team_id: UUID | None


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
    if actor.scopes is None:
        return best
    kinds = kinds_opened(actor.scopes, permission)
    if kinds is not None and (process not in kinds if process is not None else not kinds):
        return Reach.NONE
    return min(best, row.get(Role.INTEGRATION, Reach.NONE))


def allows(actor: Actor, permission: str, ticket: Subject | None = None, *, process: str | None = None) -> bool:
    """Whether the actor may. With a ticket, the ticket must be one that the actor was able to fetch through visible_to().

    ``process`` stands for the ticket where there is none yet: a manager of problems does not log incidents for others.
    Whoever sees a restricted team's ticket without being a member sees it as its requester and may do what requesters may.
    """
    if ticket is None:
        return reach(actor, permission, process) is not Reach.NONE
    far = reach(actor, permission, ticket.kind)
    if ticket.team_id in actor.hidden_teams:
        far = min(far, TABLE[permission].get(Role.REQUESTER, Reach.NONE))
    if far in (Reach.NONE, Reach.ALL):
        return far is Reach.ALL
    if actor.person_id is None:
        return False
    return ticket.requester_id == actor.person_id or (far is Reach.SHARED and _watches(actor.person_id, ticket))


def _watches(person_id: UUID, ticket: Subject) -> bool:
    known: bool | None = getattr(ticket, "watched", None)
    if known is not None:
        return known  # A list has looked it up for all its rows at once.
    return watching(person_id, ticket.pk).exists()


def authorize(actor: Actor, permission: str, ticket: Subject | None = None, *, process: str | None = None) -> None:
    """Raise Forbidden, naming the permission, unless the actor may."""
    if not allows(actor, permission, ticket, process=process):
        raise Forbidden(permission, **({"ticket": str(ticket.pk)} if ticket is not None else {}))


def ticket_filter(actor: Actor, prefix: str = "") -> Q | None:
    """The condition under which the actor sees a ticket; None when it sees every one. ``prefix`` leads to the ticket.

    The oracle for this function is tests/access/test_visibility.py, which says the same in plain Python.
    """
    if actor.kind is ActorKind.SYSTEM:
        return None if reach(actor, "ticket.read") is Reach.ALL else Q(pk__in=[])
    kinds = kinds_within(actor, "ticket.read")
    if kinds == frozenset() and not actor.person_id:
        return Q(pk__in=[])
    not_hidden = ~Q(**{f"{prefix}team_id__in": sorted(actor.hidden_teams)}) if actor.hidden_teams else Q()
    opened = None if actor.scopes is None else kinds_opened(actor.scopes, "ticket.read")
    if kinds == opened and not actor.hidden_teams:
        # All that the token opens, by working on it: what is one's own as a requester or watcher is among it.
        return None if kinds is None else Q(**{f"{prefix}kind__in": sorted(kinds)})
    seen = Q(pk__in=[])
    if kinds is None:
        seen = not_hidden
    elif kinds:
        seen = Q(**{f"{prefix}kind__in": sorted(kinds)}) & not_hidden
    if actor.person_id is not None and reach(actor, "ticket.read") is not Reach.NONE:
        seen |= Q(**{f"{prefix}requester_id": actor.person_id})
        seen |= Q(Exists(watching(actor.person_id, OuterRef(f"{prefix}id")))) & not_hidden
    if opened is not None:
        seen &= Q(**{f"{prefix}kind__in": sorted(opened)})  # One's own of another kind is not the token's either.
    return seen


def desk_filter(actor: Actor, permission: str, prefix: str = "") -> Q:
    """The condition under which the actor has ``permission`` by working on a ticket, not as its requester or watcher."""
    kinds = kinds_within(actor, permission)
    condition = Q() if kinds is None else Q(**{f"{prefix}kind__in": sorted(kinds)})
    return condition & ~Q(**{f"{prefix}team_id__in": sorted(actor.hidden_teams)}) if actor.hidden_teams else condition


def event_filter(actor: Actor, prefix: str = "") -> Q:
    """The condition under which the actor reads an event as such; ``prefix`` leads to the event.

    Events of tickets that the actor works on, those of notes for who reads notes, events of no ticket for who audits. As
    somebody's requester one reads the ticket's timeline, which tells less than the events do.
    """
    ticket = f"{prefix}ticket__"
    seen = Q(**{f"{prefix}ticket__isnull": False})
    seen &= desk_filter(actor, "ticket.read", ticket) & desk_filter(actor, "event.read", ticket)
    noted = kinds_within(actor, "ticket.read_internal")
    if noted is not None:
        said = f"{prefix}payload__audience"
        # Most events have no audience, and "not internal" is unknown for those.
        open_to_all = Q(**{f"{said}__isnull": True}) | ~Q(**{said: "internal"})
        seen &= open_to_all | Q(**{f"{ticket}kind__in": sorted(noted)})
    return seen | Q(**{f"{prefix}ticket__isnull": True}) if allows(actor, "audit.read") else seen


def kinds_within(actor: Actor, permission: str) -> frozenset[str] | None:
    """Kinds of ticket for all of which (but the hidden ones) the actor has ``permission``; None for every kind."""
    if actor.kind is ActorKind.SYSTEM:
        return None if reach(actor, permission) is Reach.ALL else frozenset()
    if reach(actor, permission) is not Reach.ALL:
        return frozenset()
    opened = None if actor.scopes is None else kinds_opened(actor.scopes, permission)
    kinds: set[str] = set()
    for grant in actor.grants:
        role = Role(grant.role)
        if TABLE[permission].get(role) is Reach.ALL:
            if role not in PER_PROCESS:
                return opened
            kinds.add(grant.process or "")
    return frozenset(kinds) if opened is None else opened & kinds


def visible_to(actor: Actor, tickets: QuerySet[M], prefix: str = "") -> QuerySet[M]:
    """Narrow a queryset of tickets (or, with ``prefix="ticket__"``, of what hangs on tickets) to what the actor sees."""
    condition = ticket_filter(actor, prefix)
    narrowed = tickets.filter(tenant_id=actor.tenant_id)
    return narrowed if condition is None else narrowed.filter(condition)
