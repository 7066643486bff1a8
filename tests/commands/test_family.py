"""Parents, children and duplicates together: who follows whom, and that nobody waits for somebody who waits for him."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError

from incidents.commands import merge_incident, reopen_incident, resolve_incident
from incidents.flow import IncidentState
from itsm.events.models import Event
from itsm.kernel.errors import DomainError, Invalid
from itsm.tenancy.context import tenant
from itsm.tickets.commands import set_parent
from itsm.tickets.models import Ticket
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk


def parents(*tickets: Ticket) -> list[UUID | None]:
    return [Ticket.objects.get(pk=ticket.pk).parent_id for ticket in tickets]


def test_children_of_a_duplicate_follow_the_one_that_goes_on(inside: Desk) -> None:
    agent = inside.actor("agent")
    old, new, child, done = (inside.incident() for _ in range(4))
    for one in (child, done):
        set_parent(actor=agent, ticket_id=one.pk, parent_id=old.pk)
    merge_incident(actor=agent, ticket_id=done.pk, into_id=child.pk)
    merge_incident(actor=agent, ticket_id=old.pk, into_id=new.pk)
    assert parents(old, new, child) == [None, None, new.pk]
    assert parents(done) == [old.pk], "what has ended changes no more"
    told = Event.objects.filter(ticket_id=child.pk, kind="ticket.updated").order_by("sequence").last()
    assert told is not None
    assert told.payload["changes"] == {"parent": [str(old.pk), str(new.pk)]}
    resolve_incident(actor=agent, ticket_id=new.pk, close_code="solution_provided", close_notes="done")
    child.refresh_from_db()
    assert child.state == IncidentState.RESOLVED


@pytest.mark.parametrize("levels", [1, 2])
def test_merged_into_one_below_it_the_order_turns_around(inside: Desk, levels: int) -> None:
    agent = inside.actor("agent")
    top, middle, low = (inside.incident() for _ in range(3))
    set_parent(actor=agent, ticket_id=middle.pk, parent_id=top.pk)
    set_parent(actor=agent, ticket_id=low.pk, parent_id=middle.pk if levels == 2 else top.pk)
    merge_incident(actor=agent, ticket_id=top.pk, into_id=low.pk)
    assert parents(top, middle, low) == [None, low.pk, None]


def test_ten_levels_and_no_more(inside: Desk) -> None:
    agent = inside.actor("agent")
    chain = [inside.incident() for _ in range(12)]
    for above, below in pairwise(chain[:11]):
        set_parent(actor=agent, ticket_id=below.pk, parent_id=above.pk)
    with pytest.raises(Invalid, match="10 levels"):
        set_parent(actor=agent, ticket_id=chain[11].pk, parent_id=chain[10].pk)
    with pytest.raises(Invalid, match="own ancestor"):
        set_parent(actor=agent, ticket_id=chain[0].pk, parent_id=chain[10].pk)


def test_a_parent_that_is_being_resolved_takes_no_child(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    agent = desk.actor("agent")
    parent, child = desk.incident(), desk.incident()
    said: list[str] = []

    def adopt() -> None:
        try:
            set_parent(actor=agent, ticket_id=child.pk, parent_id=parent.pk)
        except Invalid as error:
            said.append(error.problems[0].code)

    with tenant(desk.tenant.pk):
        resolve_incident(actor=agent, ticket_id=parent.pk, close_code="solution_provided", close_notes="done")
        other = committed_db.thread(adopt)
        time.sleep(0.5)
        assert (other.is_alive(), said) == (True, [])
    other.join(10)
    assert said == ["not_open"]
    with desk.inside():
        assert parents(child) == [None]


def test_cascades_merges_and_adoptions_at_once_never_wait_in_a_circle(committed_db: CommittedDatabase) -> None:
    """Rounds of everything that locks two tickets, against each other: refusals are fine, a deadlock is not."""
    desk = make_desk("acme")
    agent, manager = desk.actor("agent"), desk.actor("manager")
    broken: list[str] = []

    def attempt(start: threading.Barrier, commands: Sequence[Callable[[], Any]]) -> None:
        start.wait(10)
        try:
            for command in commands:
                command()
        except DomainError:
            pass
        except OperationalError as error:
            broken.append(str(error))

    for _ in range(10):
        child, parent, other = (desk.incident().pk for _ in range(3))
        set_parent(actor=agent, ticket_id=child, parent_id=parent)
        solved = {"close_code": "solution_provided", "close_notes": "done"}
        at_once: list[list[Callable[[], Any]]] = [
            [
                partial(resolve_incident, actor=agent, ticket_id=parent, **solved),
                partial(reopen_incident, actor=manager, ticket_id=parent, reason="back"),
            ],
            [partial(merge_incident, actor=manager, ticket_id=child, into_id=parent)],
            [partial(set_parent, actor=agent, ticket_id=other, parent_id=parent)],
            [partial(merge_incident, actor=agent, ticket_id=parent, into_id=other)],
        ]
        start = threading.Barrier(len(at_once))
        threads = [committed_db.thread(partial(attempt, start, commands)) for commands in at_once]
        for thread in threads:
            thread.join(30)
        assert broken == []
