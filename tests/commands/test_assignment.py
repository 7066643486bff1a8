"""Who may be given work, and that a restricted team does not exist for anybody else."""

from __future__ import annotations

import pytest

from itsm.events.models import Event
from itsm.kernel.errors import Invalid, NotFound
from itsm.tickets.commands import assign_ticket, comment_on_ticket, watch_ticket
from itsm.tickets.models import Ticket, Watcher
from tests.factories import Desk


def test_team_and_person(inside: Desk) -> None:
    ticket = inside.incident()
    agent = inside.actor("agent")
    network, apps = inside.teams["network"].pk, inside.teams["apps"].pk
    assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=network, assignee_id=agent.person_id)
    assign_ticket(actor=agent, ticket_id=ticket.pk, team_id=apps)
    ticket.refresh_from_db()
    # The agent is no member of the new team: nobody has it now, and that is one reassignment.
    assert (ticket.team_id, ticket.assignee_id, ticket.reassignment_count) == (apps, None, 1)
    last = Event.objects.filter(ticket_id=ticket.pk).latest("sequence")
    assert last.payload == {"team": [str(network), str(apps)], "assignee": [str(agent.person_id), None]}


def test_requesters_cannot_be_assigned(inside: Desk) -> None:
    ticket = inside.incident()
    before = Event.objects.count()
    with pytest.raises(Invalid, match="agents only"):
        assign_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, assignee_id=inside.people["colleague"].pk)
    assert Event.objects.count() == before


def test_a_restricted_team_is_unknown_to_others(inside: Desk) -> None:
    ticket = inside.incident()
    with pytest.raises(Invalid, match="no active team"):
        assign_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, team_id=inside.teams["hr"].pk)
    assign_ticket(actor=inside.actor("hr"), ticket_id=ticket.pk, team_id=inside.teams["hr"].pk)
    for name in ("agent", "manager", "owner", "admin", "auditor", "colleague"):
        with pytest.raises(NotFound):
            comment_on_ticket(actor=inside.actor(name), ticket_id=ticket.pk, body="hello")
    comment_on_ticket(actor=inside.actor("requester"), ticket_id=ticket.pk, body="My own ticket")


def test_moving_into_a_restricted_team_ends_a_watchers_access(inside: Desk) -> None:
    ticket = inside.incident()
    watch_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, person_id=inside.people["colleague"].pk)
    comment_on_ticket(actor=inside.actor("colleague"), ticket_id=ticket.pk, body="I follow this")
    assign_ticket(actor=inside.actor("hr"), ticket_id=ticket.pk, team_id=inside.teams["hr"].pk)
    with pytest.raises(NotFound):
        comment_on_ticket(actor=inside.actor("colleague"), ticket_id=ticket.pk, body="Still here?")


def test_mentions_bring_in_those_who_may_read(inside: Desk) -> None:
    ticket = inside.incident()
    comment_on_ticket(
        actor=inside.actor("agent"),
        ticket_id=ticket.pk,
        body="@manager@acme.example and @owner: please look; write to x@hr.example. @nobody @colleague",
        audience="internal",
    )
    watching = set(Watcher.objects.filter(ticket_id=ticket.pk).values_list("person_id", flat=True))
    assert watching == {inside.people["manager"].pk, inside.people["owner"].pk}
    assert Ticket.objects.get(pk=ticket.pk).version == 2
