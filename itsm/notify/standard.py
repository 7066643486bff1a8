"""The topics of every kind of ticket: assignment, mentions, replies, watching."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from itsm.access.catalogue import Role
from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.notify.topics import Topic, register
from itsm.tickets.models import Audience, Ticket, Watcher


def person_in(value: Any) -> UUID | None:
    """The id in a payload, if there is one."""
    return UUID(value) if isinstance(value, str) and value else None


def _new_of(payload: dict[str, Any], field: str) -> UUID | None:
    """The new value of a pair [old, new], or the plain value of an opening; None when nothing changed."""
    value = payload.get(field)
    if isinstance(value, list):
        return person_in(value[1]) if len(value) == 2 and value[0] != value[1] else None
    return person_in(value)


def assigned(event: Event) -> Iterable[UUID | None]:
    return [_new_of(event.payload, "assignee")]


def team_of(event: Event) -> Iterable[UUID | None]:
    """The members of the team that a ticket comes to."""
    team_id = _new_of(event.payload, "team")
    if team_id is None:
        return []
    return RoleGrant.objects.valid(event.occurred_at).filter(team_id=team_id).values_list("person_id", flat=True)


def mentioned(event: Event) -> Iterable[UUID | None]:
    return [person_in(one) for one in event.payload.get("mentions", ())]


def _of_ticket(event: Event, field: str) -> Iterable[UUID | None]:
    return [] if event.ticket_id is None else Ticket.objects.filter(pk=event.ticket_id).values_list(field, flat=True)


def requester_of(event: Event) -> Iterable[UUID | None]:
    return _of_ticket(event, "requester_id")


def assignee_of(event: Event) -> Iterable[UUID | None]:
    return _of_ticket(event, "assignee_id")


def answered_requester(event: Event) -> Iterable[UUID | None]:
    return requester_of(event) if event.payload.get("audience") == Audience.PUBLIC else []


def watchers_of(event: Event) -> Iterable[UUID | None]:
    if event.ticket_id is None:
        return []
    return Watcher.objects.filter(ticket_id=event.ticket_id).values_list("person_id", flat=True)


def admins(event: Event) -> Iterable[UUID | None]:
    """Whoever runs the organisation."""
    grants = RoleGrant.objects.valid(event.occurred_at).filter(role=Role.TENANT_ADMIN)
    return grants.values_list("person_id", flat=True)


def connect() -> None:
    """Register them. Practices add the kinds of their own that assign or change a ticket (topics.hear_also)."""
    register(
        Topic("mention", _("Somebody mentions me"), ("ticket.commented",), mentioned, rank=10),
        Topic("assigned_me", _("A ticket is assigned to me"), ("ticket.assigned",), assigned, rank=20),
        Topic("reply", _("The desk replies to my request"), ("ticket.commented",), answered_requester, rank=30),
        Topic(
            "comment",
            _("Somebody writes on a ticket that is assigned to me"),
            ("ticket.commented",),
            assignee_of,
            rank=40,
        ),
        Topic(
            "assigned_team",
            _("A ticket comes to my team"),
            ("ticket.assigned",),
            team_of,
            inbox=False,
            email=False,
            rank=80,
        ),
        Topic(
            "watched",
            _("A ticket that I watch changes"),
            ("ticket.commented", "ticket.updated", "ticket.assigned"),
            watchers_of,
            rank=90,
        ),
        Topic("webhook_disabled", _("A webhook endpoint was switched off"), ("webhook.disabled",), admins),
    )
