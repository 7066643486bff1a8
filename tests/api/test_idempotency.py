"""Idempotency-Key: done once, answered alike, and nothing kept of what failed."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest

from itsm.access.catalogue import Role
from itsm.access.commands import grant_role, withdraw_role
from itsm.api.idempotency import prune
from itsm.api.models import IdempotencyKey
from itsm.api.tasks import prune_idempotency_keys
from itsm.kernel import clock
from itsm.tickets.models import Ticket
from tests.api.caller import Caller, problem
from tests.api.test_incidents import footprint
from tests.committed import CommittedDatabase
from tests.factories import Desk, make_desk


def test_a_repeated_post_does_nothing_and_gets_the_first_answer(acme: Desk, agent: Caller) -> None:
    first = agent.post("incidents/", {"title": "Once"}, Idempotency_Key="k1")
    assert "Idempotent-Replayed" not in first
    then = footprint(acme)
    again = agent.post("incidents", {"title": "Once"}, Idempotency_Key="k1")
    assert (again.status_code, again.content) == (201, first.content)
    assert (again["Idempotent-Replayed"], again["ETag"], again["Location"]) == (
        "true",
        first["ETag"],
        first["Location"],
    )
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert footprint(acme) == then


def test_the_same_key_for_something_else_is_refused(acme: Desk, agent: Caller) -> None:
    made = agent.post("incidents/", {"title": "Once"}, Idempotency_Key="k1").json()
    then = footprint(acme)
    problem(agent.post("incidents/", {"title": "Twice"}, Idempotency_Key="k1"), 422, "idempotency_key_reused")
    problem(
        agent.post(f"incidents/{made['id']}/comments/", {"title": "Once"}, Idempotency_Key="k1"),
        422,
        "idempotency_key_reused",
    )
    assert footprint(acme) == then


def test_keys_belong_to_their_caller(acme: Desk, globex: Desk, agent: Caller, requester: Caller) -> None:
    numbers = [
        caller.post("incidents/", {"title": "Mine"}, Idempotency_Key="k1").json()["id"]
        for caller in (agent, requester, Caller(acme, "agent"), Caller(globex, "agent"))
    ]
    assert len(set(numbers)) == 4


def test_a_failed_request_is_not_kept(acme: Desk, agent: Caller) -> None:
    problem(agent.post("incidents/", {"title": ""}, Idempotency_Key="k1"), 400, "invalid")
    with acme.inside():
        assert not IdempotencyKey.objects.exists()
    assert agent.post("incidents/", {"title": "Mended"}, Idempotency_Key="k1").status_code == 201


def test_an_answer_is_not_repeated_to_other_rights(acme: Desk, agent: Caller) -> None:
    """Neither a right more nor one less: the stored answer was written for the rights of then."""
    body = {"title": "Once"}
    assert agent.post("incidents/", body, Idempotency_Key="k1").status_code == 201
    grant = grant_role(actor=acme.system, person_id=acme.people["agent"].pk, role=Role.AUDITOR)
    then = footprint(acme)
    problem(agent.post("incidents/", body, Idempotency_Key="k1"), 409, "idempotency_rights_changed")
    assert footprint(acme) == then
    withdraw_role(actor=acme.system, grant_id=grant.pk)
    assert agent.post("incidents/", body, Idempotency_Key="k1")["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ä", "a\tb"])
def test_keys_that_are_none(acme: Desk, agent: Caller, key: str) -> None:
    then = footprint(acme)
    found = problem(agent.post("incidents/", {"title": "x"}, Idempotency_Key=key), 400, "invalid")
    assert found["errors"][0]["header"] == "Idempotency-Key"
    assert footprint(acme) == then


def test_verbs_files_and_empty_answers_are_replayed_too(acme: Desk, agent: Caller) -> None:
    ticket = acme.incident()
    taken = agent.post(f"incidents/{ticket.pk}/take/", If_Match='"1"', Idempotency_Key="take")
    again = agent.post(f"incidents/{ticket.pk}/take/", If_Match='"1"', Idempotency_Key="take")
    assert (again.status_code, again.content, again["ETag"]) == (200, taken.content, '"2"')
    files = [
        agent.upload(f"incidents/{ticket.pk}/attachments/", {"file": BytesIO(b"log")}, Idempotency_Key="file")
        for _ in range(2)
    ]
    assert files[0].content == files[1].content
    other = agent.upload(f"incidents/{ticket.pk}/attachments/", {"file": BytesIO(b"LOG")}, Idempotency_Key="file")
    problem(other, 422, "idempotency_key_reused")
    for _ in range(2):
        watched = agent.post(f"incidents/{ticket.pk}/watch/", Idempotency_Key="watch")
        assert (watched.status_code, watched.content) == (204, b"")


def test_answers_are_forgotten_after_48_hours(acme: Desk, agent: Caller) -> None:
    first = agent.post("incidents/", {"title": "Once"}, Idempotency_Key="k1").json()
    with clock.at(clock.now() + timedelta(hours=49)):
        assert agent.post("incidents/", {"title": "Once"}, Idempotency_Key="k1").json()["id"] != first["id"]
    with acme.inside():
        assert prune(acme.tenant.pk) == 0
    with clock.at(clock.now() + timedelta(hours=98)):
        assert prune_idempotency_keys() == 1
        assert prune_idempotency_keys() == 0


def test_twenty_at_once_make_one_ticket(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    agent = Caller(desk, "agent")
    answers: list[Any] = []
    gate = threading.Barrier(20)

    def send() -> None:
        gate.wait()
        answers.append(agent.post("incidents/", {"title": "Once"}, Idempotency_Key="k1"))

    for _ in range(20):
        committed_db.thread(send)
    committed_db.join()
    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert (len(answers), len(done) + len(waiting)) == (20, 20)
    assert len({answer.content for answer in done}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in done) == 1
    for answer in waiting:
        assert answer["Retry-After"] == "1"
        problem(answer, 409, "idempotency_in_flight")
    with desk.inside():
        assert Ticket.objects.count() == 1


def test_twenty_writers_with_one_etag_one_wins(committed_db: CommittedDatabase) -> None:
    desk = make_desk("acme")
    agent = Caller(desk, "agent")
    ticket = desk.incident()
    answers: list[Any] = []

    def send(index: int) -> None:
        answers.append(agent.patch(f"incidents/{ticket.pk}/", {"title": f"Title {index}"}, If_Match='"1"'))

    for index in range(20):
        committed_db.thread(lambda index=index: send(index))
    committed_db.join()
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    won = next(answer for answer in answers if answer.status_code == 200)
    assert agent.get(f"incidents/{ticket.pk}/").json()["title"] == won.json()["title"]
