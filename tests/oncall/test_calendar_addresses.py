"""My calendar addresses over REST: made in the browser, shown once, ended at will, and nobody's but mine."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from itsm.oncall.commands import create_feed
from itsm.oncall.models import OnCallFeed, OnCallSchedule
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.oncall.schedules import make_schedule
from tests.snapshot import changes, snapshot

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/me/calendar-addresses/"
LEFT = frozenset({"api_idempotencykey"})


class Browser:
    """Somebody who is signed in."""

    def __init__(self, desk: Desk, who: str) -> None:
        self.desk = desk
        self.client = Client()
        self.client.force_login(desk.users[who])

    def send(self, method: str, address: str = "", body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(self.client, method)(f"{self.desk.prefix}{ROOT}{address}", headers=named, **given)


def test_an_address_is_made_shown_once_used_and_ended(acme: Desk, schedule: OnCallSchedule) -> None:
    agent = Browser(acme, "agent")
    body = {"schedule": str(schedule.pk)}
    made = agent.send("post", "", body, Idempotency_Key="1")
    shown = made.json()
    address = shown.pop("address")
    assert (made.status_code, shown["schedule"]) == (201, {"id": str(schedule.pk), "name": "Network"})
    again = agent.send("post", "", body, Idempotency_Key="1")
    assert (again["Idempotent-Replayed"], again.json()) == ("true", {**shown, "address": None})
    fetched = Client().get(address)
    assert (fetched.status_code, b"BEGIN:VCALENDAR" in fetched.content) == (200, True)
    own = agent.send("post", "", {}).json()
    assert own["schedule"] is None
    assert Client().get(own.pop("address")).status_code == 200
    assert address.rsplit("/", 1)[-1].startswith(shown["prefix"])
    listed = agent.send("get").json()["results"]
    assert listed == [own, shown], "the newest first, and never the whole address"
    assert agent.send("delete", f"{shown['id']}/").status_code == 204
    assert (Client().get(address).status_code, agent.send("get").json()["results"]) == (404, [own])
    problem(agent.send("delete", f"{shown['id']}/"), 404, "not_found")


def test_a_token_makes_none_and_ends_one_only_with_a_right_to_write(acme: Desk) -> None:
    feed, _ = create_feed(actor=acme.actor("agent"))
    token, reads = Caller(acme, "agent"), Caller(acme, "agent", "oncall:read")
    before = snapshot(acme, but=LEFT)
    assert problem(token.post("me/calendar-addresses/", {}), 400, "invalid")["errors"][0]["code"] == "required"
    problem(reads.post("me/calendar-addresses/", {}), 400, "invalid")
    assert problem(reads.delete(f"me/calendar-addresses/{feed.pk}/"), 403, "forbidden")["permission"] == "oncall.swap"
    assert changes(before, snapshot(acme, but=LEFT)) == []
    assert [one["id"] for one in reads.get("me/calendar-addresses/").json()["results"]] == [str(feed.pk)]
    assert token.delete(f"me/calendar-addresses/{feed.pk}/").status_code == 204


def test_what_cannot_be_asked_for_is_refused_by_name(acme: Desk, globex: Desk) -> None:
    hidden, theirs = make_schedule(acme, "HR nights", team_id=acme.teams["hr"].pk), make_schedule(globex, "Theirs")
    agent = Browser(acme, "agent")
    before = snapshot(acme, but=LEFT)
    for schedule, code in (
        (str(hidden.pk), "unknown_reference"),
        (str(theirs.pk), "unknown_reference"),
        (str(uuid4()), "unknown_reference"),
        ("all", "invalid"),
        (7, "invalid"),
    ):
        refused = problem(agent.send("post", "", {"schedule": schedule}), 400, "invalid")
        assert [(one["pointer"], one["code"]) for one in refused["errors"]] == [("/schedule", code)], schedule
    refused = problem(agent.send("post", "", {"person": str(acme.people["hr"].pk)}), 400, "invalid")
    assert [(one["pointer"], one["code"]) for one in refused["errors"]] == [("/person", "unknown_field")]
    assert changes(before, snapshot(acme, but=LEFT)) == []


def test_nobody_sees_or_ends_anothers_here(acme: Desk, globex: Desk) -> None:
    feed, _ = create_feed(actor=acme.actor("agent"))
    before = snapshot(acme, but=LEFT)
    for browser in (Browser(acme, "manager"), Browser(acme, "hr"), Browser(globex, "agent")):
        assert browser.send("get").json()["results"] == []
        problem(browser.send("delete", f"{feed.pk}/"), 404, "not_found")
        problem(browser.send("delete", "x/"), 404, "not_found")
    requester = Browser(acme, "requester")
    for method, body in (("get", None), ("post", {})):
        assert problem(requester.send(method, "", body), 403, "forbidden")["permission"] == "oncall.read"
    problem(requester.send("delete", f"{feed.pk}/"), 404, "not_found")
    assert changes(before, snapshot(acme, but=LEFT)) == []
    with acme.inside():
        assert OnCallFeed.objects.get().revoked_at is None
