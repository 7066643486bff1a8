"""Major incidents on pages: the banner and the section of one, its forms, and the list of all."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from incidents import majors
from incidents.flow import KIND
from incidents.models import MajorIncident, MajorState
from itsm.access.decide import allows, authorize
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import NotFound
from itsm.kernel.ids import is_uuid
from itsm.tickets.models import Ticket
from itsm.tickets.timeline import timeline
from itsm.web.pages import TenantRequest, tenant_page

PAGE = 50
#: Those that are led at the same time; more than this nobody leads.
OPEN_MAX = 100
#: What a page calls the verbs of a major incident, by the name of the action.
ACTIONS_OF = {
    "update": "major-update",
    "roles": "major-roles",
    "review": "major-review",
    "stand_down": "stand-down",
}


def banner(ticket: Ticket, major: MajorIncident) -> dict[str, Any]:
    """How it stands at a glance: how far, who commands, and when news is due."""
    due = majors.next_update_due(ticket) if major.state == MajorState.DECLARED else None
    return {
        "major": major,
        "led": major.state == MajorState.DECLARED,
        "next_update": due,
        "late": due is not None and due < clock.now(),
        "review_late": _late(major),
    }


def _late(major: MajorIncident) -> bool:
    due: datetime | None = major.review_due_at
    return major.state == MajorState.REVIEW_DUE and due is not None and due < clock.now()


def section(actor: Actor, ticket: Ticket, major: MajorIncident) -> dict[str, Any]:
    """What the desk reads of it: its own story first, the people, the news and the review."""
    roles, stakeholders = majors.roles_of(ticket), majors.stakeholders(ticket)
    named = majors.reached(ticket, [*roles, *stakeholders]) if major.state == MajorState.DECLARED else []
    return {
        "entries": timeline(actor, ticket, kinds="incident.major_"),
        "roles": roles,
        "stakeholders": stakeholders,
        # Each person once, whatever the reasons for which he was named.
        "unreached": list({one.row.person_id: one for one in named if one.unreachable}.values()),
        "review": majors.review_of(ticket) if major.state == MajorState.REVIEWED else None,
    }


def offered(actor: Actor, ticket: Ticket, major: MajorIncident | None) -> set[str]:
    """The names of the actions that a page offers for leading it."""
    verbs = majors.verbs_of(actor, ticket, major)
    found = {ACTIONS_OF[verb] for verb in verbs if verb in ACTIONS_OF}
    if major is not None and "update" in verbs and allows(actor, "ticket.link", ticket):
        found.add("children")
    return found


@tenant_page
@require_safe
def list_of_majors(request: TenantRequest) -> HttpResponse:
    """Those that are led now, and those that have ended with what is left to review."""
    actor = request.actor
    authorize(actor, "ticket.read_internal", process=KIND)
    before = request.GET.get("before", "")
    if before and not is_uuid(before):
        raise NotFound
    past = majors.past_majors(actor, UUID(before) if before else None, PAGE + 1)
    more = past[PAGE - 1]["ticket"].pk if len(past) > PAGE else None
    context = {
        "led": [] if before else majors.open_majors(actor, OPEN_MAX),
        "past": past[:PAGE],
        "now": clock.now(),
        "later": bool(before),
        "next": more,
    }
    return render(request, "incidents/majors.html", context)
