"""Calendars and policies over REST: what an integration or an admin's script can do with them, and where it is told no."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from itsm.sla.models import CalendarChoice, SlaCalendarVersion, SlaClock, SlaPolicy
from itsm.tickets.commands.configuration import create_service
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.sla.desk import at, clocks, on

pytestmark = pytest.mark.django_db

WEEK = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
HOURS = {"timezone": "Europe/Berlin", "weekly": WEEK, "exceptions": {"2026-12-25": []}}


@pytest.fixture
def owner(acme: Desk) -> Caller:
    return Caller(acme, "owner")


def calendar(api: Caller, name: str = "Office hours") -> dict[str, Any]:
    return next(one for one in api.get("sla-calendars/").json()["results"] if one["name"] == name)


def policy(api: Caller, name: str = "Resolution") -> dict[str, Any]:
    return next(one for one in api.get("sla-policies/").json()["results"] if one["name"] == name)


def test_a_calendar_is_made_read_renamed_and_put_away(acme: Desk, owner: Caller) -> None:
    made = owner.post("sla-calendars/", {"name": "Berlin", "hours": HOURS, "labels": {"2026-12-25": "Christmas"}})
    body = made.json()
    assert (made.status_code, made["ETag"], made["Location"].endswith(f"/{body['id']}/")) == (201, '"1"', True)
    assert (body["time_zone"], body["newest"]["version"], body["newest"]["labels"]) == (
        "Europe/Berlin", 1, {"2026-12-25": "Christmas"},
    )  # fmt: skip
    assert body["newest"]["created_by"]["name"] == "owner of acme"
    here = f"sla-calendars/{body['id']}/"
    assert owner.get(f"{here}export/").json() == HOURS
    problem(owner.patch(here, {"name": "B"}), 428, "precondition_required")
    renamed = owner.patch(here, {"name": "B"}, If_Match='"1"')
    assert (renamed.json()["name"], renamed["ETag"]) == ("B", '"2"')
    problem(owner.patch(here, {"is_active": False}, If_Match='"1"'), 412, "stale_version")
    assert owner.patch(here, {"is_active": False}, If_Match='"2"').json()["is_active"] is False
    assert [one["name"] for one in owner.get("sla-calendars/?is_active=true").json()["results"]] == [
        "24x7",
        "Office hours",
    ]
    refused = problem(
        owner.patch(f"sla-calendars/{calendar(owner)['id']}/", {"is_active": False}, If_Match="*"), 400, "invalid"
    )
    assert (refused["errors"][0]["pointer"], refused["errors"][0]["code"]) == ("/is_active", "in_use")


def test_hours_that_are_none_point_at_the_place(owner: Caller) -> None:
    bad = {**HOURS, "weekly": {"mon": [["09:00", "13:00"], ["12:00", "17:00"]]}}
    refused = problem(owner.post("sla-calendars/", {"name": "X", "hours": bad}), 400, "invalid")
    assert [(e["pointer"], e["code"]) for e in refused["errors"]] == [("/hours/weekly/mon/1", "overlap")]
    refused = problem(
        owner.post("sla-calendars/", {"name": "X", "hours": "09-17", "effective_from": "soon"}), 400, "invalid"
    )
    assert {(e["pointer"], e["code"]) for e in refused["errors"]} == {
        ("/hours", "not_an_object"), ("/effective_from", "not_a_date"),
    }  # fmt: skip


def test_the_next_version_moves_clocks_after_a_preview_of_it(acme: Desk, owner: Caller) -> None:
    here = f"sla-calendars/{calendar(owner)['id']}/"
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    new = {"timezone": "UTC", "weekly": WEEK, "exceptions": {"2026-11-24": []}}
    with at(1, 10):
        tried = owner.post(f"{here}preview/", {"hours": new}).json()
        assert (tried["clocks"], tried["moved"], tried["later"], tried["complete"]) == (2, 1, 1, True)
        assert tried["moves"][0]["number"] == ticket.number
        assert tried["moves"][0]["due_at"] == ["2026-11-25T17:00:00Z", "2026-11-26T17:00:00Z"]
        problem(owner.post(f"{here}versions/", {"hours": new}), 428, "precondition_required")
        key = {"Idempotency_Key": str(uuid4()), "If_Match": '"1"'}
        first = owner.post(f"{here}versions/", {"hours": new, "labels": {"2026-11-24": "Outing"}}, **key)
        again = owner.post(f"{here}versions/", {"hours": new, "labels": {"2026-11-24": "Outing"}}, **key)
    assert (first.status_code, first["ETag"], first.json()["newest"]["version"]) == (201, '"2"', 2)
    assert (again["Idempotent-Replayed"], again.json()) == ("true", first.json())
    assert clocks(acme, ticket)["resolution"].due_at == on(4, 17)
    assert [one["version"] for one in owner.get(f"{here}versions/").json()["results"]] == [2, 1]
    with acme.inside():
        assert SlaCalendarVersion.objects.filter(calendar__name="Office hours").count() == 2
    zone = {**new, "timezone": "Europe/Berlin"}
    refused = problem(owner.post(f"{here}versions/", {"hours": zone}, If_Match="*"), 400, "invalid")
    assert refused["errors"][0]["code"] == "zone_for_good"


def test_holidays_are_proposed(owner: Caller) -> None:
    here = f"sla-calendars/{calendar(owner)['id']}/holidays/"
    with at(1, 9):
        found = owner.get(f"{here}?country=DE&subdivision=BY&years=2026&language=de").json()["results"]
        corpus = next(one for one in found if one["date"] == "2026-06-04")
        assert (corpus["name"], corpus["shifts"], corpus["advised"], corpus["estimated"]) == (
            "Fronleichnam", [], True, False,
        )  # fmt: skip
        for query, name in (
            ("country=XX&years=2026", "country"),
            ("years=2026", "country"),
            ("country=DE&subdivision=ZZ&years=2026", "subdivision"),
            ("country=DE&years=soon", "years"),
            ("country=DE", "years"),
        ):
            refused = problem(owner.get(f"{here}?{query}"), 400, "invalid")
            assert name in [e["parameter"] for e in refused["errors"]]


def test_who_lives_by_a_calendar(acme: Desk, owner: Caller) -> None:
    service = create_service(actor=acme.system, name="Mail")
    here = f"sla-calendars/{calendar(owner, '24x7')['id']}/"
    chosen = owner.post(f"{here}choose/", {"service": str(service.pk)}).json()
    assert (chosen["services"], chosen["organisations"]) == ([{"id": str(service.pk), "name": "Mail"}], [])
    other = f"sla-calendars/{calendar(owner)['id']}/"
    owner.post(f"{other}leave/", {"service": str(service.pk)})
    assert owner.get(here).json()["services"] != [], "it was not this one's"
    assert owner.post(f"{here}leave/", {"service": str(service.pk)}).json()["services"] == []
    for body in ({}, {"service": str(service.pk), "organisation": str(service.pk)}):
        problem(owner.post(f"{here}choose/", body), 400, "invalid")
        problem(owner.post(f"{here}leave/", body), 400, "invalid")
    with acme.inside():
        assert not CalendarChoice.objects.exists()


def test_policies_are_made_tried_changed_and_put_in_order(acme: Desk, owner: Caller) -> None:
    office, always = calendar(owner)["id"], calendar(owner, "24x7")["id"]
    with at(1, 9):
        ticket = acme.incident(impact=1, urgency=1)
    fast = {"calendar": always, "targets": [{"when": {"priority": [1]}, "target": "1h"}]}
    with at(1, 9, 30):
        tried = owner.post("sla-policies/preview/", {"metric": "resolution", "terms": fast}).json()
        assert [(m["number"], m["promise"]) for m in tried["moves"]] == [(ticket.number, ["4h", "1h"])]
        made = owner.post("sla-policies/", {"name": "Fast", "metric": "resolution", "terms": fast, "apply": True})
    assert (made.status_code, made["ETag"], made.json()["position"]) == (201, '"1"', 1)
    assert clocks(acme, ticket)["resolution"].due_at == on(1, 10)
    here = f"sla-policies/{made.json()['id']}/"
    slower = {**fast, "targets": [{"when": {"priority": [1]}, "target": "2h"}]}
    with at(1, 9, 40):
        tried = owner.post(f"{here}preview/", {"terms": slower}).json()
        assert tried["moves"][0]["due_at"] == ["2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"]
        problem(owner.post(f"{here}versions/", {"terms": slower}), 428, "precondition_required")
        changed = owner.post(f"{here}versions/", {"terms": slower}, If_Match='"1"')
    assert (changed.json()["newest"]["version"], changed["ETag"]) == (2, '"2"')
    assert clocks(acme, ticket)["resolution"].promise == "1h", "not applied"
    assert [one["version"] for one in owner.get(f"{here}versions/").json()["results"]] == [2, 1]
    usual = policy(owner)["id"]
    order = {"metric": "resolution", "policies": [usual, made.json()["id"]]}
    refused = problem(owner.post("sla-policies/order/", order), 400, "invalid")
    assert refused["errors"][0]["code"] == "never_reached"
    order["policies"].reverse()
    kept = owner.post("sla-policies/order/", order).json()["results"]
    assert [one["name"] for one in kept] == ["Fast", "Resolution"]
    nothing = {"calendar": office, "targets": [{"target": "0s"}]}
    made_up = {"name": "X", "metric": "resolution", "terms": nothing}
    refused = problem(owner.post("sla-policies/", made_up), 400, "invalid")
    assert refused["errors"][0]["pointer"] == "/terms/targets/0/target"
    assert owner.patch(here, {"is_active": False}, If_Match='"2"').json()["is_active"] is False
    assert clocks(acme, ticket)["resolution"].promise == "4h", "the next one that means it"
    assert [one["name"] for one in owner.get("sla-policies/?metric=resolution&is_active=true").json()["results"]] == [
        "Resolution"
    ]
    assert owner.get(here).json()["newest"]["terms"] == slower
    for body in ({"apply": True}, {"apply": True, "is_active": False}, {"apply": True, "name": "Other"}):
        refused = problem(owner.patch(here, body, If_Match='"3"'), 400, "invalid")
        assert [(one["pointer"], one["code"]) for one in refused["errors"]] == [("/apply", "only_with_activation")]
    with at(1, 9, 50):
        back = owner.patch(here, {"is_active": True, "apply": True}, If_Match='"3"')
    assert (back.json()["is_active"], back.json()["name"], back["ETag"]) == (True, "Fast", '"4"')
    assert back.json()["newest"]["version"] == 2, "the same terms need no new version"
    assert clocks(acme, ticket)["resolution"].promise == "2h"


def test_why_this_sla(acme: Desk, owner: Caller) -> None:
    ticket = acme.incident(impact=2, urgency=2)
    always = calendar(owner, "24x7")["id"]
    fast = {"calendar": always, "targets": [{"when": {"priority": [1]}, "target": "1h"}]}
    owner.post("sla-policies/", {"name": "Fast", "metric": "resolution", "terms": fast})
    agent = Caller(acme, "agent")
    found = {one["metric"]: one for one in agent.get(f"sla-policies/why/?ticket={ticket.number}").json()["results"]}
    resolution = found["resolution"]
    assert (resolution["holds"]["name"], resolution["promise"], resolution["calendar"]) == (
        "Resolution",
        "24h",
        "Office hours",
    )
    assert resolution["asked"][0]["misses"] == [[{"condition": "priority", "wanted": ["1"], "found": ["3"]}]]
    assert (found["update"]["holds"], found["update"]["asked"]) == (None, [])
    for query in ("", "?ticket=INC0999999", f"?ticket={uuid4()}"):
        refused = problem(agent.get(f"sla-policies/why/{query}"), 400, "invalid")
        assert refused["errors"][0]["parameter"] == "ticket"
    with acme.inside():
        SlaPolicy.objects.update(is_active=False)
    assert all(one["holds"] is None for one in agent.get(f"sla-policies/why/?ticket={ticket.pk}").json()["results"])


def test_who_may(acme: Desk, globex: Desk, owner: Caller) -> None:
    here, there = f"sla-calendars/{calendar(owner)['id']}/", f"sla-policies/{policy(owner)['id']}/"
    agent, requester, stranger = Caller(acme, "agent"), Caller(acme, "requester"), Caller(globex, "owner")
    writes = (
        ("sla-calendars/", {"name": "X", "hours": HOURS}),
        (f"{here}versions/", {"hours": {**HOURS, "timezone": "UTC"}}),
        (f"{here}preview/", {"hours": {**HOURS, "timezone": "UTC"}}),
        (f"{here}choose/", {"service": str(uuid4())}),
        (f"{here}leave/", {"service": str(uuid4())}),
        (f"{there}versions/", {"terms": {}}),
        (f"{there}preview/", {"terms": {}}),
        ("sla-policies/preview/", {"metric": "response", "terms": {}}),
        ("sla-policies/order/", {"metric": "response", "policies": []}),
    )
    for address, body in writes:
        assert problem(agent.post(address, body, If_Match="*"), 403, "forbidden")["permission"] == "sla.manage"
        assert problem(requester.post(address, body, If_Match="*"), 403, "forbidden")["permission"].startswith("sla.")
        if address.startswith((here, there)):
            problem(stranger.post(address, body, If_Match="*"), 404, "not_found")
    for address in (here, there, f"{here}versions/", f"{there}versions/", f"{here}export/"):
        assert agent.get(address).status_code == 200
        problem(requester.get(address), 403, "forbidden")
        problem(stranger.get(address), 404, "not_found")
    reads = Caller(acme, "owner", "sla:read")
    assert reads.get(here).status_code == 200
    problem(reads.patch(here, {"name": "X"}, If_Match="*"), 403, "forbidden")
    ticket = acme.incident(team_id=acme.teams["hr"].pk, by="hr")
    problem(agent.get(f"sla-policies/why/?ticket={ticket.pk}"), 400, "invalid")
    with acme.inside():
        assert SlaClock.objects.filter(ticket_id=ticket.pk).exists()
        assert json.dumps(list(SlaPolicy.objects.values_list("revision", flat=True))) == "[1, 1, 1]"
