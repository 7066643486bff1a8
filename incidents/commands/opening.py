"""Logging an incident."""

from __future__ import annotations

from uuid import UUID

from incidents.flow import FLOW, KIND, IncidentState
from incidents.models import Incident
from itsm.access.decide import authorize
from itsm.events.models import Event
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import IllegalTransition, Invalid, Problems
from itsm.kernel.ids import new_id
from itsm.kernel.texts import BODY_MAX, TITLE_MAX, clean_text
from itsm.tenancy.models import Person, Team
from itsm.tickets.commands.assignment import check_assignee
from itsm.tickets.fetch import lock_ticket, refuse_unknown
from itsm.tickets.models import Category, LinkKind, Service, Ticket, TicketLink
from itsm.tickets.numbering import take_numbers
from itsm.tickets.priority import priority_of

CHANNELS = frozenset({"web", "portal", "api", "email", "phone", "self_service", "alert", "import", "ivr", "walk_in"})


def open_incident(
    *,
    actor: Actor,
    title: str,
    description: str = "",
    impact: int = 3,
    urgency: int = 3,
    requester_id: UUID | None = None,
    service_id: UUID | None = None,
    category_id: UUID | None = None,
    team_id: UUID | None = None,
    assignee_id: UUID | None = None,
    channel: str = "web",
    cause: Event | None = None,
) -> Ticket:
    """Log an incident in state New. Without a requester it is the actor's own.

    Priority follows from impact and urgency (1 high … 3 low). Raises Invalid naming each bad field, Forbidden when the
    actor may not log for somebody else.
    """
    clean_title, clean_description = _texts(title, description, channel)
    with unit_of_work(actor, cause=cause) as work:
        requester = requester_id or actor.person_id
        authorize(actor, "incident.create", process=KIND)
        if requester != actor.person_id or team_id is not None or assignee_id is not None:
            authorize(actor, "incident.create_for_others", process=KIND)
        priority = priority_of(actor.tenant_id, impact, urgency)
        state = FLOW.state(IncidentState.NEW)
        ticket = Ticket(
            pk=new_id(),
            tenant_id=actor.tenant_id,
            kind=KIND,
            title=clean_title,
            description=clean_description,
            state=state.code,
            state_category=state.category,
            impact=impact,
            urgency=urgency,
            priority=priority,
            requester_id=requester,
            opened_by_id=actor.person_id,
            assignee_id=assignee_id,
            team_id=team_id,
            service_id=service_id,
            category_id=category_id,
            channel=channel,
            opened_at=work.now,
            updated_at=work.now,
        )
        _refuse_unknown(actor, ticket)
        work.guard("incident.create", ticket, {})
        # Last, when nothing can refuse any more: an unused number would be a gap.
        ticket.number = take_numbers(actor.tenant_id, KIND)[0]
        work.add(ticket, Incident(tenant_id=actor.tenant_id, ticket_id=ticket.pk))
        _record(work, ticket)
    return ticket


def _texts(title: str, description: str, channel: str) -> tuple[str, str]:
    """Title and description as they are stored. Raises Invalid naming what is wrong with them or with the channel."""
    problems = Problems()
    clean_title = clean_text(problems, "title", title, limit=TITLE_MAX, required=True, line=True)
    clean_description = clean_text(problems, "description", description, limit=BODY_MAX)
    if channel not in CHANNELS:
        problems.add("channel", "unknown_channel", f"channel must be one of {', '.join(sorted(CHANNELS))}.")
    problems.raise_if_any()
    return clean_title, clean_description


def _refuse_unknown(actor: Actor, ticket: Ticket) -> None:
    """Raise Invalid for whatever the new ticket refers to and the actor cannot choose."""
    if ticket.team_id in actor.hidden_teams:
        raise Invalid.one("team", "unknown_reference", "There is no active team with this id.")
    refuse_unknown(
        actor,
        requester=(Person, ticket.requester_id),
        service=(Service, ticket.service_id),
        category=(Category, ticket.category_id),
        team=(Team, ticket.team_id),
    )
    if ticket.assignee_id is not None:
        check_assignee(actor, ticket.assignee_id, ticket.team_id, KIND)


def _record(work: UnitOfWork, ticket: Ticket) -> None:
    work.emit(
        "incident.opened",
        ticket,
        state=[None, ticket.state],
        impact=ticket.impact,
        urgency=ticket.urgency,
        priority=ticket.priority,
        requester=ticket.requester_id,
        channel=ticket.channel,
        service=ticket.service_id,
        category=ticket.category_id,
        team=ticket.team_id,
        assignee=ticket.assignee_id,
        texts={"title": ticket.title, "description": ticket.description},
    )


def open_follow_up(*, actor: Actor, ticket_id: UUID, title: str = "", description: str = "") -> Ticket:
    """Open a new incident that continues a closed one (which itself never reopens), for the same requester and team.

    What is no longer active of service, category, requester and team is left out.
    """
    with unit_of_work(actor) as work:
        old = lock_ticket(actor, ticket_id, kind=KIND)
        authorize(actor, "incident.reopen", old)
        if old.state_category not in {"closed", "canceled"}:
            raise IllegalTransition(
                "follow_up",
                FLOW.state(old.state).name,
                FLOW.allowed(old.state),
                state_key=FLOW.state(old.state).key,
                detail=f"{old.number} is not closed: comment on it or reopen it instead.",
            )
        ticket = open_incident(
            actor=actor,
            title=title or old.title,
            description=description or old.description,
            impact=old.impact,
            urgency=old.urgency,
            service_id=_if_active(Service, old.service_id),
            category_id=_if_active(Category, old.category_id),
            requester_id=_if_active(Person, old.requester_id) or actor.person_id,
        )
        # The rest needs more right than a requester has: the product does it on the strength of the check above.
        new = lock_ticket(Actor.system(actor.tenant_id, "follow_up"), ticket.pk)
        work.add(
            TicketLink(
                tenant_id=actor.tenant_id,
                source_id=new.pk,
                target_id=old.pk,
                kind=LinkKind.FOLLOWS,
                created_at=work.now,
            )
        )
        work.emit("ticket.linked", new, target=old.pk, link=LinkKind.FOLLOWS.value)
        team_id = _if_active(Team, old.team_id)
        if team_id is not None:
            work.emit("ticket.assigned", new, team=[None, team_id], assignee=[None, None])
            new.team_id = team_id
            work.changed(new, "team")
    return new


def _if_active(model: type[Service | Category | Person | Team], key: UUID | None) -> UUID | None:
    return key if key is not None and model.objects.filter(pk=key, is_active=True).exists() else None
