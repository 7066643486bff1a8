"""What people are told about incidents, beside what they are told about every ticket."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from incidents.flow import KIND
from incidents.models import MajorIncident, MajorState
from itsm.access.catalogue import Role
from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.notify import wording
from itsm.notify.standard import assignee_of, person_in, requester_of
from itsm.notify.topics import Topic, hear_also, register


def _both(event: Event) -> Iterable[UUID | None]:
    return [*requester_of(event), *assignee_of(event)]


def _of_update(event: Event) -> Iterable[UUID | None]:
    """Whoever the update names, as far as they see the incident; on its children, the one who waits for the child."""
    if event.kind == "incident.major_update_copied":
        return requester_of(event)
    return [person_in(one) for one in event.payload.get("recipients", ())]


def _of_review(event: Event) -> Iterable[UUID | None]:
    """Its commander; where nobody commands it any more, those who may review it as managers of the process."""
    commander = person_in(event.payload.get("commander"))
    if commander is not None:
        return [commander]
    managers = RoleGrant.objects.valid(event.occurred_at).filter(role=Role.PROCESS_MANAGER, process=KIND)
    return managers.values_list("person_id", flat=True)


def _reviewed(event: Event) -> str:
    """Why the reminder need not be told any more: the review is written, or there is none to write."""
    due = MajorIncident.objects.filter(pk=event.ticket_id, state=MajorState.REVIEW_DUE).exists()
    return "" if due else "reviewed"


def connect() -> None:
    """Register them, after those of the spine."""
    register(
        Topic("resolved", _("My request is resolved"), ("incident.resolved",), requester_of),
        Topic("reopened", _("A request of mine, or one assigned to me, is reopened"), ("incident.reopened",), _both),
        # Whoever was told that it is resolved need not be written to again a week later, when it is closed.
        Topic("closed", _("My request is closed"), ("incident.closed",), requester_of, email=False),
        Topic("canceled", _("My request is canceled"), ("incident.canceled",), requester_of),
        Topic("merged", _("My request is merged into another one"), ("incident.merged",), requester_of),
        Topic(
            "major_update",
            _("An update about a major incident that concerns me"),
            ("incident.major_update_sent", "incident.major_update_copied"),
            _of_update,
            rank=15,
        ),
        Topic(
            "major_review",
            _("The review of a major incident that I command is overdue"),
            ("incident.major_review_overdue",),
            _of_review,
            over=_reviewed,
            rank=27,
        ),
    )
    wording.add_subject(
        "major_review",
        "The review of {ticket.number} is overdue: {ticket.title}",
        "Der Rückblick auf {ticket.number} ist überfällig: {ticket.title}",
    )
    # Opening an incident with an assignee or a team assigns it.
    hear_also("assigned_me", "incident.opened")
    hear_also("assigned_team", "incident.opened")
    hear_also(
        "watched",
        "incident.started",
        "incident.held",
        "incident.resumed",
        "incident.resolved",
        "incident.reopened",
        "incident.closed",
        "incident.canceled",
        "incident.merged",
    )
