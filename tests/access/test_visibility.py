"""Who sees which ticket: visible_to() and search against an oracle that knows no ORM, over random tenants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.commands import open_incident
from itsm.access.actors import actor_of_person
from itsm.access.catalogue import Role
from itsm.access.commands import create_person, create_team, grant_role
from itsm.access.decide import visible_to
from itsm.events.models import Event
from itsm.kernel.actor import Actor, ActorKind
from itsm.kernel.errors import Invalid, NotFound
from itsm.tickets.commands import (
    assign_ticket,
    comment_on_ticket,
    link_tickets,
    set_parent,
    watch_ticket,
)
from itsm.tickets.fetch import lock_ticket, read_ticket
from itsm.tickets.models import Audience, Comment, Ticket, TicketSearch, Watcher
from itsm.tickets.search import index_ticket, search_tickets
from tests.factories import Desk

TEAMS = ("open_a", "open_b", "closed_c", "closed_d")
RESTRICTED = frozenset({"closed_c", "closed_d"})
KINDS = ("incident", "problem")
PEOPLE = 3


@dataclass
class World:
    """A tenant in plain Python. A grant is (role, process, team)."""

    grants: list[set[tuple[str, str | None, str | None]]]
    #: (kind, requester, team, watchers, word in the description, word in an internal note)
    tickets: list[tuple[str, int, str | None, set[int], str, str]] = field(default_factory=list)


_grant = st.one_of(
    st.just((Role.REQUESTER.value, None, None)),
    st.just((Role.AGENT.value, None, None)),
    st.tuples(st.just(Role.AGENT.value), st.none(), st.sampled_from(TEAMS)),
    st.tuples(
        st.sampled_from([Role.PROCESS_MANAGER.value, Role.PROCESS_OWNER.value]), st.sampled_from(KINDS), st.none()
    ),
    st.just((Role.AUDITOR.value, None, None)),
    st.just((Role.TENANT_ADMIN.value, None, None)),
)
_word = st.sampled_from(["", "apple", "banana"])
_ticket = st.tuples(
    st.sampled_from(KINDS), st.integers(0, PEOPLE - 1), st.sampled_from([None, *TEAMS]),
    st.sets(st.integers(0, PEOPLE - 1), max_size=2), _word, _word,
)  # fmt: skip
worlds = st.builds(
    World,
    grants=st.lists(st.sets(_grant, max_size=3), min_size=PEOPLE, max_size=PEOPLE),
    tickets=st.lists(_ticket, min_size=1, max_size=6),
)


def sees(world: World, person: int, ticket: tuple[Any, ...]) -> bool:
    """The oracle. Everything with a role sees its own; the wide roles see all, managers their process, strangers no
    restricted team's; whoever watches sees it as well, but for a restricted team's."""
    kind, requester, team, watchers, _, _ = ticket
    grants = world.grants[person]
    if not grants:
        return False
    if requester == person:
        return True
    if team in RESTRICTED and not any(of == team for _, _, of in grants):
        return False
    if person in watchers:
        return True
    wide = {"agent", "tenant_admin", "auditor"}
    return any(role in wide or process == kind for role, process, _ in grants)


def reads_notes(world: World, person: int, ticket: tuple[Any, ...]) -> bool:
    """The oracle for internal notes: who works on it or audits it, and never a stranger to a restricted team."""
    kind, _, team, _, _, _ = ticket
    grants = world.grants[person]
    if not sees(world, person, ticket) or (team in RESTRICTED and not any(of == team for _, _, of in grants)):
        return False
    return any(role in {"agent", "auditor"} or process == kind for role, process, _ in grants)


class Undone(Exception):
    """Takes a world back, so that the next one starts in an empty tenant."""


def build(desk: Desk, world: World) -> tuple[list[Actor], list[Ticket]]:
    system = desk.system
    teams = {name: create_team(actor=system, name=name, restricted=name in RESTRICTED) for name in TEAMS}
    people = [create_person(actor=system, name=f"person {n}") for n in range(PEOPLE)]
    for person, grants in zip(people, world.grants, strict=True):
        for role, process, team in grants:
            grant_role(
                actor=system, person_id=person.pk, role=role, process=process, team_id=teams[team].pk if team else None
            )
    actors = [actor_of_person(desk.tenant.pk, person.pk) for person in people]
    tickets = []
    for kind, requester, team, watchers, word, note in world.tickets:
        ticket = open_incident(
            actor=system, title="x", description=word, requester_id=people[requester].pk,
            team_id=teams[team].pk if team else None,
        )  # fmt: skip
        if kind != "incident":
            # No room makes problems yet; for seeing them only the kind on the spine matters.
            Ticket.objects.filter(pk=ticket.pk).update(kind=kind)
        rows = [Watcher(tenant_id=desk.tenant.pk, ticket_id=ticket.pk, person_id=people[n].pk) for n in watchers]
        Watcher.objects.bulk_create(rows)
        if note:
            Comment(
                tenant_id=desk.tenant.pk, ticket_id=ticket.pk, audience=Audience.INTERNAL, body=note
            ).save(force_insert=True)  # fmt: skip
        index_ticket(ticket.pk)
        tickets.append(ticket)
    return [actor for actor in actors if actor is not None], tickets


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds)
def test_visible_to_and_search_say_what_the_oracle_says(inside: Desk, world: World) -> None:
    try:
        with transaction.atomic():
            actors, tickets = build(inside, world)
            for person, actor in enumerate(actors):
                seen = set(visible_to(actor, Ticket.objects.all()).values_list("pk", flat=True))
                assert seen == _ids(tickets, world, lambda t, p=person: sees(world, p, t))
                token = replace(actor, kind=ActorKind.TOKEN, scopes=frozenset({"incidents:read", "events:read"}))
                seen_by_token = set(visible_to(token, Ticket.objects.all()).values_list("pk", flat=True))
                incidents = _ids(tickets, world, lambda t, p=person: sees(world, p, t) and t[0] == "incident")
                assert seen_by_token == incidents, "a scope opens tickets of its kind, one's own of others neither"
                assert set(search_tickets(token, "apple")) <= incidents
                # What hangs on tickets, by the same rule through the relation.
                notes = visible_to(actor, Comment.objects.all(), "ticket__").values_list("ticket_id", flat=True)
                assert set(notes) <= seen
                for word in ("apple", "banana"):
                    found = search_tickets(actor, word)
                    wanted = _ids(
                        tickets,
                        world,
                        lambda t, p=person, w=word: (
                            (sees(world, p, t) and t[4] == w) or (reads_notes(world, p, t) and t[5] == w)
                        ),
                    )
                    assert set(found) == wanted
                    assert len(found) == len(set(found))
            raise Undone
    except Undone:
        pass


def _ids(tickets: list[Ticket], world: World, condition: Any) -> set[UUID]:
    return {ticket.pk for ticket, facts in zip(tickets, world.tickets, strict=True) if condition(facts)}


@pytest.fixture
def secret(inside: Desk) -> Ticket:
    """A ticket of the restricted team, indexed for search; its requester is the colleague."""
    ticket = open_incident(
        actor=inside.system, title="Salary dispute", requester_id=inside.people["colleague"].pk,
        team_id=inside.teams["hr"].pk,
    )  # fmt: skip
    comment_on_ticket(actor=inside.actor("hr"), ticket_id=ticket.pk, body="Ask legal", audience="internal")
    index_ticket(ticket.pk)
    return ticket


STRANGERS = ("agent", "requester", "manager", "owner", "admin", "auditor", "other_manager")


@pytest.mark.parametrize("name", STRANGERS)
def test_a_restricted_ticket_does_not_exist_for_strangers(inside: Desk, secret: Ticket, name: str) -> None:
    actor = inside.actor(name)
    mine = open_incident(actor=inside.system, title="Mine", requester_id=actor.person_id)
    tickets = visible_to(actor, Ticket.objects.all())
    assert secret.pk not in set(tickets.values_list("pk", flat=True))
    assert tickets.filter(team_id=inside.teams["hr"].pk).count() == 0
    assert search_tickets(actor, "salary") == []
    assert search_tickets(actor, "legal") == []
    for act in (
        lambda: read_ticket(actor, secret.pk),
        lambda: lock_ticket(actor, secret.pk),
        lambda: comment_on_ticket(actor=actor, ticket_id=secret.pk, body="x"),
        lambda: watch_ticket(actor=actor, ticket_id=secret.pk),
        lambda: link_tickets(actor=actor, ticket_id=secret.pk, target_id=mine.pk),
        lambda: assign_ticket(actor=actor, ticket_id=secret.pk, assignee_id=actor.person_id),
    ):
        with pytest.raises(NotFound):
            act()
    assert visible_to(actor, Comment.objects.all(), "ticket__").filter(ticket_id=secret.pk).count() == 0


def test_a_restricted_ticket_is_no_target_for_strangers(inside: Desk, secret: Ticket) -> None:
    """As the other end of a link, parent or merge it is as unknown as an id that was made up."""
    from incidents.commands import merge_incident

    agent, mine = inside.actor("agent"), inside.incident()
    events = Event.objects.count()
    for act in (
        lambda: link_tickets(actor=agent, ticket_id=mine.pk, target_id=secret.pk),
        lambda: set_parent(actor=agent, ticket_id=mine.pk, parent_id=secret.pk),
        lambda: merge_incident(actor=agent, ticket_id=mine.pk, into_id=secret.pk),
        lambda: assign_ticket(actor=agent, ticket_id=mine.pk, team_id=inside.teams["hr"].pk),
    ):
        with pytest.raises(Invalid) as refused:
            act()
        assert refused.value.problems[0].code == "unknown_reference"
    assert Event.objects.count() == events


def test_members_work_on_it_and_the_requester_sees_his_own(inside: Desk, secret: Ticket) -> None:
    member, requester = inside.actor("hr"), inside.actor("colleague")
    assert search_tickets(member, "legal") == [secret.pk]
    assign_ticket(actor=member, ticket_id=secret.pk, assignee_id=member.person_id)
    assert search_tickets(requester, "salary") == [secret.pk]
    assert search_tickets(requester, "legal") == []
    comment_on_ticket(actor=requester, ticket_id=secret.pk, body="Thank you")


def test_an_agent_is_only_the_requester_of_his_own_restricted_ticket(inside: Desk) -> None:
    """Otherwise whoever complains about a colleague to HR could read HR's notes on it, and close it."""
    from incidents.commands import resolve_incident
    from itsm.access.decide import allows
    from itsm.kernel.errors import Forbidden

    agent = inside.actor("agent")
    mine = open_incident(
        actor=inside.system, title="Complaint", requester_id=agent.person_id, team_id=inside.teams["hr"].pk
    )
    comment_on_ticket(actor=inside.actor("hr"), ticket_id=mine.pk, body="Unfounded", audience="internal")
    index_ticket(mine.pk)
    assert search_tickets(agent, "complaint") == [mine.pk]
    assert search_tickets(agent, "unfounded") == []
    assert not allows(agent, "ticket.read_internal", mine)
    with pytest.raises(Forbidden):
        resolve_incident(actor=agent, ticket_id=mine.pk, close_code="solution_provided", close_notes="x")


def test_nobody_is_pulled_into_a_restricted_ticket(inside: Desk, secret: Ticket) -> None:
    member = inside.actor("hr")
    comment_on_ticket(
        actor=member, ticket_id=secret.pk, body="@agent@acme.example @manager@acme.example and @colleague@acme.example"
    )
    assert list(Watcher.objects.filter(ticket_id=secret.pk).values_list("person_id", flat=True)) == [
        inside.people["colleague"].pk
    ]
    with pytest.raises(Invalid) as refused:
        watch_ticket(actor=member, ticket_id=secret.pk, person_id=inside.people["agent"].pk)
    assert refused.value.problems[0].code == "not_a_member"
    with pytest.raises(Invalid, match="Only members"):
        assign_ticket(actor=member, ticket_id=secret.pk, assignee_id=inside.people["agent"].pk)


def test_a_mention_tells_nobody_who_could_not_read_it(inside: Desk) -> None:
    """A requester is no reader of somebody else's ticket, and a mention does not make him one."""
    ticket = inside.incident("requester")
    comment_on_ticket(actor=inside.actor("agent"), ticket_id=ticket.pk, body="@colleague@acme.example @hr@acme.example")
    assert list(Watcher.objects.filter(ticket_id=ticket.pk).values_list("person_id", flat=True)) == [
        inside.people["hr"].pk
    ]
    comment_on_ticket(
        actor=inside.actor("agent"),
        ticket_id=ticket.pk,
        body="@admin@acme.example @auditor@acme.example",
        audience="internal",
    )
    assert set(Watcher.objects.filter(ticket_id=ticket.pk).values_list("person_id", flat=True)) == {
        inside.people["hr"].pk,
        inside.people["auditor"].pk,
    }


def test_what_becomes_restricted_disappears_from_search_at_once(inside: Desk) -> None:
    """The words are indexed by ticket; team and audience are asked when somebody searches, not when it was indexed."""
    ticket = inside.incident(title="Salary list", description="payroll")
    index_ticket(ticket.pk)
    agent = inside.actor("agent")
    assert search_tickets(agent, "payroll") == [ticket.pk]
    assign_ticket(actor=inside.system, ticket_id=ticket.pk, team_id=inside.teams["hr"].pk)
    assert search_tickets(agent, "payroll") == []
    assert TicketSearch.objects.filter(ticket_id=ticket.pk).exists()
