"""The incident's verbs on real PostgreSQL: what changes, what is recorded, and that a refusal changes nothing."""

from __future__ import annotations

import pytest

from incidents import commands
from incidents.models import Incident
from itsm.access.catalogue import Role
from itsm.access.commands import create_team, grant_role, update_team
from itsm.events.models import Event, Outbox
from itsm.kernel.errors import Conflict, Forbidden, IllegalTransition, Invalid, NotFound
from itsm.tickets.commands import assign_ticket, comment_on_ticket, set_parent
from itsm.tickets.models import Ticket
from tests.factories import Desk


def kinds_of(ticket: Ticket) -> list[str]:
    return list(Event.objects.filter(ticket_id=ticket.pk).order_by("sequence").values_list("kind", flat=True))


def test_log_work_resolve_close(inside: Desk) -> None:
    ticket = inside.incident(title="  No network\u0301 ", description="Since 9", impact=1, urgency=2)
    assert (ticket.number, ticket.priority, ticket.state) == ("INC0001001", 2, 1)
    agent = inside.actor("agent")
    commands.take_incident(actor=agent, ticket_id=ticket.pk, expected_version=1)
    commands.resolve_incident(
        actor=agent, ticket_id=ticket.pk, close_code="solution_provided", close_notes="Plugged it in"
    )
    commands.close_incident(actor=inside.actor("requester"), ticket_id=ticket.pk)
    ticket.refresh_from_db()
    assert (ticket.state, ticket.state_category, ticket.version) == (7, "closed", 4)
    assert ticket.assignee_id == agent.person_id
    assert ticket.team_id == inside.teams["network"].pk
    assert kinds_of(ticket) == [
        "incident.opened",
        "ticket.assigned",
        "incident.started",
        "incident.resolved",
        "incident.closed",
    ]
    assert Incident.objects.get(pk=ticket.pk).close_code == "solution_provided"


def test_stale_version_is_refused_and_nothing_happens(inside: Desk) -> None:
    ticket = inside.incident()
    agent = inside.actor("agent")
    commands.start_incident(actor=agent, ticket_id=ticket.pk, expected_version=1)
    events = Event.objects.count()
    with pytest.raises(Conflict) as refused:
        commands.cancel_incident(actor=agent, ticket_id=ticket.pk, reason="no", expected_version=1)
    assert refused.value.current == 2
    assert (Event.objects.count(), Ticket.objects.get(pk=ticket.pk).state) == (events, 2)


def test_awaiting_caller_demands_a_comment_and_the_reply_resumes(inside: Desk) -> None:
    ticket = inside.incident()
    agent = inside.actor("agent")
    with pytest.raises(Invalid):
        commands.hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller")
    commands.hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="Which printer?")
    assert Ticket.objects.get(pk=ticket.pk).state == 3
    comment_on_ticket(actor=inside.actor("requester"), ticket_id=ticket.pk, body="The red one")
    assert Ticket.objects.get(pk=ticket.pk).state == 2
    resumed = Event.objects.get(ticket_id=ticket.pk, kind="incident.resumed")
    reply = Event.objects.get(pk=resumed.cause_id)
    assert (reply.kind, resumed.depth, resumed.actor_kind) == ("ticket.commented", 1, "system")


def test_children_follow_their_parent(inside: Desk) -> None:
    agent = inside.actor("agent")
    parent, child = inside.incident(), inside.incident()
    set_parent(actor=agent, ticket_id=child.pk, parent_id=parent.pk)
    commands.start_incident(actor=agent, ticket_id=parent.pk)
    commands.resolve_incident(actor=agent, ticket_id=parent.pk, close_code="workaround_provided", close_notes="Reboot")
    child.refresh_from_db()
    assert child.state == 6
    assert Incident.objects.get(pk=child.pk).close_notes == "Reboot"


def test_nobody_becomes_his_own_ancestor(inside: Desk) -> None:
    agent = inside.actor("agent")
    top, middle = inside.incident(), inside.incident()
    set_parent(actor=agent, ticket_id=middle.pk, parent_id=top.pk)
    with pytest.raises(Invalid, match="ancestor"):
        set_parent(actor=agent, ticket_id=top.pk, parent_id=middle.pk)
    assert Ticket.objects.get(pk=top.pk).parent_id is None


def test_merge_closes_one_and_its_requester_follows_the_other(inside: Desk) -> None:
    mine, theirs = inside.incident("requester"), inside.incident("colleague")
    commands.merge_incident(actor=inside.actor("agent"), ticket_id=theirs.pk, into_id=mine.pk)
    theirs.refresh_from_db()
    assert (theirs.state, theirs.duplicate_of_id) == (7, mine.pk)
    assert commands.take_incident(actor=inside.actor("agent"), ticket_id=mine.pk).state == 2
    # The colleague now watches the surviving incident and may therefore comment on it.
    comment_on_ticket(actor=inside.actor("colleague"), ticket_id=mine.pk, body="Mine too")


@pytest.mark.parametrize("into", ["nothing", "another's"])
def test_who_may_not_merge_learns_nothing_about_what_he_names(inside: Desk, into: str) -> None:
    own, other = inside.incident("requester"), inside.incident("colleague")
    target = other.pk if into == "another's" else inside.tenant.pk
    with pytest.raises(Forbidden, match=r"incident\.merge"):
        commands.merge_incident(actor=inside.actor("requester"), ticket_id=own.pk, into_id=target)
    with pytest.raises(Conflict):
        commands.merge_incident(
            actor=inside.actor("agent"), ticket_id=own.pk, into_id=inside.tenant.pk, expected_version=7
        )
    with pytest.raises(Invalid, match="no incident with this id to merge into"):
        commands.merge_incident(actor=inside.actor("agent"), ticket_id=own.pk, into_id=inside.tenant.pk)
    assert kinds_of(own) == ["incident.opened"]


@pytest.mark.parametrize("verb", ["resolve", "hold", "start", "cancel", "comment"])
def test_a_closed_incident_refuses_everything(inside: Desk, verb: str) -> None:
    ticket = inside.incident()
    agent = inside.actor("agent")
    commands.resolve_incident(actor=agent, ticket_id=ticket.pk, close_code="known_error", close_notes="x")
    commands.close_incident(actor=agent, ticket_id=ticket.pk)
    before = (Event.objects.count(), Outbox.objects.count())
    act = {
        "resolve": lambda: commands.resolve_incident(
            actor=agent, ticket_id=ticket.pk, close_code="known_error", close_notes="x"
        ),
        "hold": lambda: commands.hold_incident(actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_vendor"),
        "start": lambda: commands.start_incident(actor=agent, ticket_id=ticket.pk),
        "cancel": lambda: commands.cancel_incident(actor=agent, ticket_id=ticket.pk, reason="x"),
        "comment": lambda: comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="x"),
    }[verb]
    with pytest.raises(IllegalTransition):
        act()
    assert (Event.objects.count(), Outbox.objects.count()) == before


def test_requesters_see_their_own_and_may_not_work(inside: Desk) -> None:
    ticket = inside.incident("requester")
    with pytest.raises(NotFound):
        commands.start_incident(actor=inside.actor("colleague"), ticket_id=ticket.pk)
    with pytest.raises(Forbidden) as refused:
        commands.start_incident(actor=inside.actor("requester"), ticket_id=ticket.pk)
    assert refused.value.permission == "incident.start"


def test_follow_up_of_a_closed_incident(inside: Desk) -> None:
    ticket = inside.incident("requester")
    commands.cancel_incident(actor=inside.actor("requester"), ticket_id=ticket.pk, reason="solved itself")
    new = commands.open_follow_up(actor=inside.actor("requester"), ticket_id=ticket.pk, description="It is back")
    assert (new.number, new.requester_id, kinds_of(new)) == (
        "INC0001002",
        ticket.requester_id,
        ["incident.opened", "ticket.linked"],
    )


def test_teams_that_are_no_more_are_left_out(inside: Desk) -> None:
    """Neither taking nor following up fails because of a team, service or category that was switched off since."""
    admin, agent = inside.actor("admin"), inside.actor("agent")
    team = create_team(actor=admin, name="night")
    grant_role(actor=admin, person_id=inside.people["agent"].pk, role=Role.AGENT, team_id=team.pk)
    old, new = inside.incident(), inside.incident()
    assign_ticket(actor=agent, ticket_id=old.pk, team_id=team.pk)
    commands.cancel_incident(actor=agent, ticket_id=old.pk, reason="solved itself")
    update_team(actor=admin, team_id=team.pk, active=False)
    taken = commands.take_incident(actor=inside.actor("agent"), ticket_id=new.pk)
    assert (taken.assignee_id, taken.team_id) == (inside.people["agent"].pk, inside.teams["network"].pk)
    assert commands.open_follow_up(actor=agent, ticket_id=old.pk).team_id is None


def test_an_agent_who_is_the_caller_may_wait_for_himself(inside: Desk) -> None:
    agent = inside.actor("agent")
    ticket = inside.incident("agent")
    commands.hold_incident(
        actor=agent, ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="I must look it up at home"
    )
    ticket.refresh_from_db()
    assert ticket.state == 3, "the message that came with the hold is no reply to it"
    comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="Here it is")
    ticket.refresh_from_db()
    assert ticket.state == 2
