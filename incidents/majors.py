"""Reading major incidents: who leads one, when news is due, what was said, and what the review found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from incidents.flow import KIND
from incidents.models import MajorAction, MajorIncident, MajorRole, MajorStakeholder, MajorState
from itsm.access.decide import allows, visible_to
from itsm.events.models import Event, EventText
from itsm.kernel.actor import Actor
from itsm.notify.readers import out_of_reach
from itsm.sla.models import Metric, SlaClock
from itsm.tenancy.models import Person
from itsm.tickets.models import Ticket

#: What can be done with a major incident, in the order in which a page offers it; its right, and the states that allow it.
_VERBS = {
    "update": ("incident.update_major", (MajorState.DECLARED,)),
    "roles": ("incident.declare_major", (MajorState.DECLARED, MajorState.REVIEW_DUE)),
    "review": ("incident.review_major", (MajorState.REVIEW_DUE,)),
    "stand_down": ("incident.declare_major", (MajorState.DECLARED, MajorState.REVIEW_DUE)),
}


@dataclass(frozen=True, slots=True)
class Update:
    """News that was sent. ``body`` is empty when it was removed."""

    id: UUID
    sent_at: datetime
    author_id: UUID | None
    author: str
    body: str
    recipients: int


@dataclass(frozen=True, slots=True)
class Review:
    """What people found when they looked back. Texts are empty when they were removed."""

    at: datetime
    by: str
    went_well: str
    went_badly: str
    causes: str
    actions: list[MajorAction] = field(default_factory=list)


def major_of(ticket: Ticket) -> MajorIncident | None:
    """How the ticket is led, with its commander; None for one that is no major incident (any more)."""
    if not ticket.is_major:
        return None
    found: MajorIncident | None = MajorIncident.objects.select_related("commander").filter(pk=ticket.pk).first()
    return found


def verbs_of(actor: Actor, ticket: Ticket, major: MajorIncident | None) -> list[str]:
    """What the actor may do now: ``declare`` where it is none, otherwise of the verbs above."""
    if major is None:
        return ["declare"] if ticket.is_open and allows(actor, "incident.declare_major", ticket) else []
    commands = actor.person_id is not None and actor.person_id == major.commander_id
    found = []
    for verb, (permission, states) in _VERBS.items():
        right = "incident.update_major" if verb == "review" and commands else permission
        if major.state in states and allows(actor, right, ticket):
            found.append(verb)
    return found


def next_update_due(ticket: Ticket) -> datetime | None:
    """When the next news is due; None when none is owed, or nothing is promised."""
    running = SlaClock.objects.filter(ticket_id=ticket.pk, metric=Metric.CADENCE, state="running")
    return running.values_list("due_at", flat=True).first()


def roles_of(ticket: Ticket) -> list[MajorRole]:
    """The roles with their persons, by name."""
    return list(MajorRole.objects.filter(ticket_id=ticket.pk).select_related("person").order_by("name"))


def stakeholders(ticket: Ticket) -> list[MajorStakeholder]:
    """Who hears the updates besides those who follow the ticket."""
    found = MajorStakeholder.objects.filter(ticket_id=ticket.pk).select_related("person")
    return list(found.order_by("person__name", "pk"))


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody who was named in leading it. ``unreachable`` says why nothing reaches him: ``inactive``, ``no_right``, or ""."""

    row: MajorRole | MajorStakeholder
    unreachable: str


def reached(ticket: Ticket, rows: Sequence[MajorRole | MajorStakeholder]) -> list[Named]:
    """The rows, each with whether its person would be told of the incident now. For readers of internal notes."""
    unreached = out_of_reach(ticket, [row.person_id for row in rows])
    return [Named(row, unreached.get(row.person_id, "")) for row in rows]


def updates(ticket: Ticket) -> list[Update]:
    """All news so far, newest first."""
    events = list(Event.objects.filter(ticket_id=ticket.pk, kind="incident.major_update_sent").order_by("-sequence"))
    texts = dict(EventText.objects.filter(event_id__in=[e.pk for e in events]).values_list("event_id", "text"))
    names = _names({event.actor_id for event in events})
    return [
        Update(
            event.pk,
            event.occurred_at,
            event.actor_id,
            names.get(event.actor_id, "") if event.actor_id else "",
            texts.get(event.pk, ""),
            len(event.payload["recipients"]),
        )
        for event in events
    ]


def review_of(ticket: Ticket) -> Review | None:
    """The last review; None before there is one."""
    event = Event.objects.filter(ticket_id=ticket.pk, kind="incident.major_reviewed").order_by("-sequence").first()
    if event is None:
        return None
    texts = dict(EventText.objects.filter(event_id=event.pk).values_list("field", "text"))
    actions = MajorAction.objects.filter(ticket_id=ticket.pk).select_related("owner").order_by("position")
    by = _names({event.actor_id}).get(event.actor_id, "") if event.actor_id else ""
    words = {name: texts.get(name, "") for name in ("went_well", "went_badly", "causes")}
    return Review(event.occurred_at, by, **words, actions=list(actions))


def open_majors(actor: Actor, limit: int) -> list[dict[str, Any]]:
    """Those that are led now, the oldest first, with when their next news is due."""
    rows = list(_listed(actor).filter(state=MajorState.DECLARED).order_by("declared_at")[:limit])
    return _with_clocks(rows)


def past_majors(actor: Actor, before: UUID | None, limit: int) -> list[dict[str, Any]]:
    """Those that have ended and were no mistake, newest ticket first; ``before`` is the last one of the page before."""
    rows = _listed(actor).filter(state__in=[MajorState.REVIEW_DUE, MajorState.REVIEWED])
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [{"major": row, "ticket": row.ticket} for row in rows.order_by("-pk")[:limit]]


def _listed(actor: Actor) -> QuerySet[MajorIncident]:
    seen = visible_to(actor, Ticket.objects.filter(kind=KIND, is_major=True))
    return MajorIncident.objects.filter(ticket_id__in=seen.values("pk")).select_related("ticket", "commander")


def _with_clocks(rows: list[MajorIncident]) -> list[dict[str, Any]]:
    clocks = SlaClock.objects.filter(ticket_id__in=[row.pk for row in rows], metric=Metric.CADENCE, state="running")
    due = dict(clocks.values_list("ticket_id", "due_at")) if rows else {}
    return [{"major": row, "ticket": row.ticket, "due_at": due.get(row.pk)} for row in rows]


def _names(ids: set[UUID | None]) -> dict[UUID, str]:
    return dict(Person.objects.filter(pk__in=[one for one in ids if one is not None]).values_list("pk", "name"))
