"""What survives: processes killed in the middle, two sweepers at once. Real processes on a database that commits."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from itsm.escalation.commands import acknowledge_escalation
from itsm.escalation.fires import STEPS
from itsm.escalation.models import EscalationPolicy, EscalationRun
from itsm.escalation.sweep import RUNS
from itsm.tickets.models import Comment, Ticket
from tests.committed import CommittedDatabase
from tests.escalation.chains import MANAGERS, TEAM, fires, policy, start, steps, told
from tests.factories import Desk, make_desk

_SETUP = """
import os, sys, time, django
django.setup()
from itsm.escalation.fires import STEPS
from itsm.escalation.sweep import RUNS
"""


def process(database: CommittedDatabase, code: str) -> subprocess.Popen[str]:
    environ = {**database.environ, "DJANGO_SETTINGS_MODULE": "config.settings.dev"}
    command = [sys.executable, "-c", _SETUP + code]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


def says(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == word:
            return
    pytest.fail(f"the process ended before it said {word!r}")


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


def called(desk: Desk, *chain: Any) -> Ticket:
    ticket = desk.incident(by="manager", team_id=desk.teams["network"].pk)
    start(desk, ticket, policy(desk, *chain))
    return ticket


def until(desk: Desk, ticket: Ticket, count: int) -> None:
    """Rounds of the sweeper until so many steps were taken."""
    for _ in range(100):
        RUNS.sweep()
        STEPS.tell_all()
        if len(steps(desk, ticket)) >= count:
            return
        time.sleep(0.1)
    pytest.fail("the chain stands still")


def test_a_sweeper_killed_between_claim_and_telling_loses_nothing(committed_db: CommittedDatabase) -> None:
    """Pain 7: the chain goes on by itself with the next tick, from what is in the database."""
    desk = make_desk("acme")
    ticket = called(desk, ("0s", TEAM), ("1s", MANAGERS))
    child = process(committed_db, "assert RUNS.sweep().fires == 1; print('claimed', flush=True); time.sleep(60)")
    says(child, "claimed")
    kill(child)
    with desk.inside():
        assert EscalationRun.objects.get().next_due_at is None
    assert steps(desk, ticket) == []
    until(desk, ticket, 2)
    assert told(desk, ticket) == [(0, 0, ["agent"]), (0, 1, ["manager"])]
    assert fires(desk) == [(1, 0, 0, "taken"), (1, 0, 1, "taken")]


def test_a_teller_killed_in_the_middle_has_told_nothing(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    ticket = called(desk, ("0s", {"action": "comment", "text": "Once"}, TEAM))
    code = """
from itsm.escalation import fires
advance = fires._advance
def slowly(*args):
    advance(*args); print('told', flush=True); time.sleep(60)
fires._advance = slowly
RUNS.sweep(); STEPS.tell_all()
"""
    child = process(committed_db, code)
    says(child, "told")
    kill(child)
    assert steps(desk, ticket) == []
    until(desk, ticket, 1)
    with desk.inside():
        assert Comment.objects.filter(ticket_id=ticket.pk).count() == 1
    assert told(desk, ticket) == [(0, 0, ["agent"])]


def test_two_sweepers_at_once_take_each_step_once(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    chain = policy(desk, ("0s", TEAM), ("0s", MANAGERS), ("1s", TEAM))
    tickets = [desk.incident(by="manager", team_id=desk.teams["network"].pk) for _ in range(15)]
    for ticket in tickets:
        start(desk, ticket, chain)
    code = """
print('ready', flush=True); sys.stdin.readline()
until = time.monotonic() + 6
while time.monotonic() < until:
    RUNS.sweep(batch=3); STEPS.tell_all(1.0); time.sleep(0.02)
"""
    environ = {**committed_db.environ, "DJANGO_SETTINGS_MODULE": "config.settings.dev"}
    command = [sys.executable, "-c", _SETUP + code]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, env=environ, **pipes) for _ in range(2)]
    for child in children:
        says(child, "ready")
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    for ticket in tickets:
        until(desk, ticket, 3)
        assert told(desk, ticket) == [(0, 0, ["agent"]), (0, 1, ["manager"]), (0, 2, ["agent"])]
    assert sorted(fires(desk)) == sorted([(1, 0, step, "taken") for step in range(3)] * 15)


def test_an_acknowledgement_and_a_sweep_at_once_agree(committed_db: CommittedDatabase) -> None:
    """Whoever comes first: after the acknowledgement is committed, no step is taken any more."""
    desk = make_desk("acme")
    for _ in range(6):
        ticket = called_again(desk)
        committed_db.thread(lambda: (RUNS.sweep(), STEPS.tell_all()))
        acknowledge_escalation(actor=desk.actor("agent"), ticket_id=ticket.pk)
        after = len(steps(desk, ticket))
        committed_db.join()
        RUNS.sweep()
        STEPS.tell_all()
        assert len(steps(desk, ticket)) == after
        with desk.inside():
            assert EscalationRun.objects.get(ticket_id=ticket.pk).state == "acknowledged"


def called_again(desk: Desk) -> Ticket:
    ticket = desk.incident(by="manager", team_id=desk.teams["network"].pk)
    with desk.inside():
        chain = EscalationPolicy.objects.filter(name="Chain").first()
    start(desk, ticket, chain or policy(desk, ("0s", TEAM), ("0s", MANAGERS)))
    return ticket
