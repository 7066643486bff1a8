"""Every permission, every role, every situation; and every cell of the table matters."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from incidents import commands
from itsm.access import page as page_module
from itsm.access.actors import actor_of_token
from itsm.access.catalogue import SCOPES, TABLE, Reach, Role
from itsm.access.commands import (
    create_token,
    grant_role,
    revoke_token,
    set_person_active,
    withdraw_role,
)
from itsm.access.decide import allows
from itsm.access.models import RoleGrant
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.tenancy.models import User
from itsm.tickets.commands import assign_ticket, comment_on_ticket
from itsm.tickets.fetch import read_ticket
from tests.access.matrix import ALONE, ON_TICKETS, PAGE, ROLES, documented, make_stage, mismatches
from tests.factories import Desk

pytestmark = pytest.mark.django_db


def test_the_page_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_module.permission_page()
    assert set(documented()) == set(TABLE)
    call_command("permission_page", "--check")


def test_a_page_that_differs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE["incident.resolve"], Role.REQUESTER, Reach.OWN)
    with pytest.raises(CommandError, match="differs from the table"):
        call_command("permission_page", "--check")


def test_every_verb_permission_is_driven_by_a_command() -> None:
    """A permission about tickets without a command here is a hole in the matrix."""
    on_tickets = {p for p in TABLE if p.startswith(("ticket.", "incident."))}
    assert on_tickets - set(ON_TICKETS) - set(ALONE) == {"incident.import"}


@pytest.mark.parametrize("role", ROLES)
def test_the_commands_do_what_the_page_says(inside: Desk, role: str) -> None:
    stage, page = make_stage(inside, role), documented()
    events = Event.objects.count()
    assert [wrong for permission in TABLE for wrong in mismatches(stage, role, permission, page)] == []
    assert Event.objects.count() == events


@pytest.mark.parametrize("role", ROLES)
def test_flipping_any_cell_is_noticed(inside: Desk, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, page = make_stage(inside, role), documented()
    unnoticed = []
    for permission in TABLE:
        column = Role(role)
        now = TABLE[permission].get(column, Reach.NONE)
        for other in {Reach.NONE, Reach.ALL} - {now}:
            with monkeypatch.context() as patch:
                patch.setitem(TABLE[permission], column, other)
                if not mismatches(stage, role, permission, page):
                    unnoticed.append(f"{permission} {now.name}→{other.name}")
    # No scope opens these, so the ceiling does not matter for them; it is "–" on the page.
    closed = {p for p in TABLE if not any(p in opened for opened in SCOPES.values())}
    allowed = {f"{p} NONE→ALL" for p in closed} if role == "integration" else set()
    if role == "requester":
        # Nobody can tell: there is no ticket yet, and whoever else sees a ticket may watch it anyway.
        allowed = {"incident.create OWN→ALL", "ticket.watch SHARED→ALL"}
    if page["incident.create"].get(role) is Reach.NONE:
        # Who may log none for himself is refused before it is asked for whom.
        allowed = {"incident.create_for_others NONE→ALL"}
    assert set(unnoticed) <= allowed


def test_a_manager_of_problems_is_nobody_among_incidents(inside: Desk) -> None:
    ticket, actor = inside.incident(), inside.actor("other_manager")
    for permission, (_, _command) in ON_TICKETS.items():
        assert not allows(actor, permission, ticket), permission
    with pytest.raises(NotFound):
        commands.start_incident(actor=actor, ticket_id=ticket.pk)
    with pytest.raises(Forbidden):
        commands.open_incident(actor=actor, title="x", requester_id=inside.people["colleague"].pk)
    with pytest.raises(Invalid, match="agents only"):
        assign_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, assignee_id=actor.person_id)


def test_several_roles_do_not_add_up_to_more(inside: Desk) -> None:
    """An auditor reads everything and a requester comments on his own: both together still comment on their own only."""
    inside.person("both", (Role.REQUESTER, None, None), (Role.AUDITOR, None, None))
    actor, foreign = inside.actor("both"), inside.incident("colleague")
    assert read_ticket(actor, foreign.pk).pk == foreign.pk
    with pytest.raises(Forbidden):
        comment_on_ticket(actor=actor, ticket_id=foreign.pk, body="May I?")
    comment_on_ticket(actor=actor, ticket_id=inside.incident("both").pk, body="Mine")


def test_a_token_may_what_its_scopes_its_maker_and_the_ceiling_allow(inside: Desk) -> None:
    ticket = inside.incident()

    def actor(*scopes: str, by: str = "agent") -> object:
        secret = create_token(actor=inside.actor(by), name="t", scopes=scopes)[1]
        return actor_of_token(inside.tenant.pk, secret)

    reader = actor("incidents:read")
    assert read_ticket(reader, ticket.pk).pk == ticket.pk  # type: ignore[arg-type]
    with pytest.raises(Forbidden):
        commands.start_incident(actor=reader, ticket_id=ticket.pk)  # type: ignore[arg-type]
    # Writing without reading finds nothing to write on.
    with pytest.raises(NotFound):
        commands.start_incident(actor=actor("incidents:write"), ticket_id=ticket.pk)  # type: ignore[arg-type]
    both = actor("incidents:read", "incidents:write")
    commands.start_incident(actor=both, ticket_id=ticket.pk)  # type: ignore[arg-type]
    event = Event.objects.get(kind="incident.started", ticket_id=ticket.pk)
    assert (event.actor_kind, event.actor_id) == ("token", inside.people["agent"].pk)
    assert event.actor_label == str(both.token_id)  # type: ignore[attr-defined]
    # The ceiling: not even an admin's token manages people, teams or tokens.
    with pytest.raises(Forbidden):
        set_person_active(actor=actor(*SCOPES, by="admin"), person_id=inside.people["agent"].pk, active=False)  # type: ignore[arg-type]
    # The maker: a requester's token with all scopes is a requester.
    with pytest.raises(Forbidden):
        commands.start_incident(actor=actor(*SCOPES, by="requester"), ticket_id=ticket.pk)  # type: ignore[arg-type]


def test_what_is_taken_away_is_gone_at_once(inside: Desk) -> None:
    ticket, secret = inside.incident(), inside.token("agent")
    admin = inside.actor("admin")

    def token() -> object:
        return actor_of_token(inside.tenant.pk, secret)

    assert allows(token(), "incident.start", ticket)  # type: ignore[arg-type]
    for grant in RoleGrant.objects.filter(person_id=inside.people["agent"].pk):
        withdraw_role(actor=admin, grant_id=grant.pk)
    assert not allows(token(), "incident.start", ticket)  # type: ignore[arg-type]
    assert not allows(inside.actor("agent"), "incident.start", ticket)
    set_person_active(actor=admin, person_id=inside.people["agent"].pk, active=False)
    assert token() is None
    set_person_active(actor=admin, person_id=inside.people["agent"].pk, active=True)
    assert token() is not None
    User.objects.filter(pk=inside.users["agent"].pk).update(is_active=False)
    assert token() is None


def test_expired_and_revoked_tokens_are_refused(inside: Desk) -> None:
    agent = inside.actor("agent")
    token, secret = create_token(
        actor=agent, name="t", scopes=["incidents:read"], expires_at=clock.now() + timedelta(hours=1)
    )
    assert actor_of_token(inside.tenant.pk, secret) is not None
    with clock.at(clock.now() + timedelta(hours=1, seconds=1)):
        assert actor_of_token(inside.tenant.pk, secret) is None
    with pytest.raises(Forbidden):
        revoke_token(actor=inside.actor("manager"), token_id=token.pk)
    revoke_token(actor=agent, token_id=token.pk)
    assert actor_of_token(inside.tenant.pk, secret) is None
    with pytest.raises(Invalid, match="future"):
        create_token(actor=agent, name="t", scopes=["incidents:read"], expires_at=clock.now() - timedelta(1))


def test_an_expired_grant_counts_nowhere(inside: Desk) -> None:
    system, hour = inside.system, timedelta(hours=1)
    person = inside.person("temp", (Role.REQUESTER, None, None))
    until = clock.now() + hour
    grant_role(actor=system, person_id=person.pk, role=Role.AGENT, valid_until=until)
    grant_role(actor=system, person_id=person.pk, role=Role.AGENT, team_id=inside.teams["hr"].pk, valid_until=until)
    grant_role(actor=system, person_id=person.pk, role=Role.TENANT_ADMIN, valid_until=until)
    ticket = inside.incident()
    secret = commands.open_incident(
        actor=system, title="Salary", requester_id=inside.people["colleague"].pk, team_id=inside.teams["hr"].pk
    )
    assert read_ticket(inside.actor("temp"), secret.pk).pk == secret.pk
    with clock.at(until + hour):
        actor = inside.actor("temp")
        assert (actor.roles, actor.team_ids) == ({"requester"}, frozenset())
        assert inside.teams["hr"].pk in actor.hidden_teams
        with pytest.raises(NotFound):
            read_ticket(actor, secret.pk)
        with pytest.raises(Invalid, match="agents only"):
            assign_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, assignee_id=person.pk)
        # The temporary admin is no admin any more, so the other one is the last.
        last = RoleGrant.objects.get(person_id=inside.people["admin"].pk, role=Role.TENANT_ADMIN)
        with pytest.raises(Invalid, match="last tenant admin"):
            withdraw_role(actor=inside.actor("admin"), grant_id=last.pk)


def test_a_restricted_team_takes_members_only(inside: Desk) -> None:
    """Handing a ticket to a restricted team together with its present assignee does not smuggle a stranger in."""
    ticket, hr = inside.incident(), inside.teams["hr"].pk
    agent = inside.people["agent"].pk
    assign_ticket(actor=inside.system, ticket_id=ticket.pk, assignee_id=agent)
    with pytest.raises(Invalid, match="Only members of a restricted team"):
        assign_ticket(actor=inside.system, ticket_id=ticket.pk, team_id=hr, assignee_id=agent)
    assert assign_ticket(actor=inside.system, ticket_id=ticket.pk, team_id=hr).assignee_id is None
