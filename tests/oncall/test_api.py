"""On-call schedules over REST: shapes, windows, rights, and how many queries they cost."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from itsm.access.commands import set_person_active
from itsm.kernel import clock
from itsm.oncall import commands
from itsm.oncall.models import OnCallOverride, OnCallSchedule
from tests.api.caller import Caller, problem
from tests.factories import Desk
from tests.oncall.schedules import THURSDAY, make_schedule, rules
from tests.oncall.test_calendars import HOSTILE, HR, calendar
from tests.snapshot import changes, snapshot

pytestmark = pytest.mark.django_db
BUDGETS: dict[str, int] = json.loads((Path(__file__).parents[1] / "budgets.json").read_text())["oncall"]
ROOT = "on-call-schedules/"


@pytest.fixture
def manager(acme: Desk) -> Caller:
    return Caller(acme, "manager")


@pytest.fixture
def agent(acme: Desk) -> Caller:
    return Caller(acme, "agent")


def person(desk: Desk, name: str) -> dict[str, str]:
    return {"id": str(desk.people[name].pk), "name": f"{name} of {desk.tenant.slug}"}


def layer(desk: Desk, *people: str, **given: Any) -> dict[str, Any]:
    return {
        "name": "Week",
        "time_zone": "Europe/Berlin",
        "starts_on": "2026-03-02",
        "handoff": "09:00",
        "participants": [str(desk.people[one].pk) for one in people],
        **given,
    }


def test_a_schedule_is_made_read_changed_and_listed(acme: Desk, manager: Caller, agent: Caller) -> None:
    body = {"name": "Network", "team": str(acme.teams["network"].pk), "layers": [layer(acme, "hr", "owner")]}
    made = manager.post(ROOT, body)
    assert made.status_code == 201, made.content
    address = made["Location"]
    assert address.endswith(f"/api/v1/on-call-schedules/{made.json()['id']}/")
    read = agent.get(address).json()
    assert read == made.json()
    assert (read["name"], read["team"]["name"], read["is_active"]) == ("Network", "network", True)
    assert {key: value for key, value in read["layers"][0].items() if key != "id"} == {
        "name": "Week",
        "time_zone": "Europe/Berlin",
        "starts_on": "2026-03-02",
        "handoff": "09:00",
        "unit": "weeks",
        "every": 1,
        "participants": [{**person(acme, "hr"), "is_active": True}, {**person(acme, "owner"), "is_active": True}],
        "restrictions": {},
    }
    change = {"is_active": False, "layers": [layer(acme, "hr", restrictions={"mon": [["22:00", "06:00"]]})]}
    assert (made["ETag"], agent.get(address)["ETag"], read["revision"]) == ('"1"', '"1"', 1)
    changed = manager.patch(address, change, If_Match='"1"').json()
    assert changed["revision"] == 2
    assert (changed["is_active"], changed["name"]) == (False, "Network")
    assert changed["layers"][0]["id"] == read["layers"][0]["id"]
    assert changed["layers"][0]["restrictions"] == {"mon": [["22:00", "06:00"]]}
    assert [row["name"] for row in agent.get(ROOT).json()["results"]] == ["Network"]
    assert agent.get(f"{ROOT}?is_active=true").json()["results"] == []


def test_nobody_overwrites_turns_that_he_has_not_seen(
    acme: Desk, manager: Caller, agent: Caller, schedule: OnCallSchedule
) -> None:
    address, admin = f"{ROOT}{schedule.pk}/", acme.actor("admin")
    before = snapshot(acme, but=frozenset({"api_idempotencykey"}))
    problem(manager.patch(address, {"name": "Other"}), 428, "precondition_required")
    refused = problem(manager.patch(address, {"name": "Other", "layers": []}, If_Match='"7"'), 412, "stale_version")
    assert (refused["current"], refused["expected"]) == (1, 7)
    problem(manager.patch(address, {"name": "Other"}, If_Match="1"), 400, "invalid")
    problem(manager.patch(f"{ROOT}{uuid4()}/", {"name": "Other"}, If_Match='"7"'), 404, "not_found")
    problem(agent.patch(address, {"name": "Other"}, If_Match='"7"'), 403, "forbidden")
    assert changes(before, snapshot(acme, but=frozenset({"api_idempotencykey"}))) == []
    # Each change of the turns counts; nothing changed and a shift that is handed over do not.
    tags = [manager.patch(address, {"name": "Other"}, If_Match='"1"')["ETag"]]
    tags.append(manager.patch(address, {"name": "Other"}, If_Match='"2"')["ETag"])
    layer = commands.add_layer(actor=admin, schedule_id=schedule.pk, rules=rules(acme, "hr"))
    commands.update_layer(actor=admin, layer_id=layer.pk, rules=rules(acme, "owner"))
    tags.append(manager.get(address)["ETag"])
    commands.remove_layer(actor=admin, layer_id=layer.pk)
    tags.append(manager.get(address)["ETag"])
    ahead = clock.now() + timedelta(days=30)
    commands.add_override(
        actor=admin, schedule_id=schedule.pk, starts_at=ahead, ends_at=ahead + timedelta(hours=1), person_id=None
    )
    tags.append(manager.patch(address, {"layers": []}, If_Match='"5"')["ETag"])
    assert tags == ['"2"', '"2"', '"4"', '"5"', '"6"']
    problem(manager.patch(address, {"name": "Third"}, If_Match='"5"'), 412, "stale_version")
    assert manager.get(address).json()["name"] == "Other"


def test_now_says_levels_and_gaps(acme: Desk, agent: Caller, schedule: OnCallSchedule) -> None:
    at = THURSDAY.isoformat().replace("+00:00", "Z")
    now = agent.get(f"{ROOT}{schedule.pk}/now/?at={at}").json()
    assert [(one["level"], one["person"], one["layer"]["name"], one["override"]) for one in now["levels"]] == [
        (1, person(acme, "agent"), "Week", None),
        (2, person(acme, "hr"), "Behind", None),
    ]
    assert (now["is_gap"], now["skipped"]) == (False, [])
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["hr"].pk, active=False)
    empty = agent.get(f"{ROOT}{schedule.pk}/now/?at=2026-01-01T00:00:00Z").json()
    assert (empty["is_gap"], empty["levels"]) == (True, [])
    skipped = agent.get(f"{ROOT}{schedule.pk}/now/?at={at}").json()
    assert (len(skipped["levels"]), skipped["skipped"]) == (1, [person(acme, "hr")])
    assert agent.get(f"{ROOT}{schedule.pk}/now/").status_code == 200


def test_shifts_cover_the_window_and_name_what_gives_them(acme: Desk, agent: Caller, manager: Caller) -> None:
    nights = {day: [["22:00", "06:00"]] for day in ("thu", "fri")}
    schedule = make_schedule(acme, layers=[rules(acme, "hr", restrictions=nights)])
    given = {"starts_at": "2096-03-02T00:00:00Z", "ends_at": "2096-03-02T01:00:00Z", "person": None}
    override = manager.post(f"{ROOT}{schedule.pk}/overrides/", given).json()
    found = agent.get(f"{ROOT}{schedule.pk}/shifts/?from=2026-03-05T12:00:00Z&to=2026-03-07T12:00:00Z").json()
    times = [(one["starts_at"], one["ends_at"], one["person"] and one["person"]["name"]) for one in found["shifts"]]
    assert times == [
        ("2026-03-05T12:00:00Z", "2026-03-05T21:00:00Z", None),
        ("2026-03-05T21:00:00Z", "2026-03-06T05:00:00Z", "hr of acme"),
        ("2026-03-06T05:00:00Z", "2026-03-06T21:00:00Z", None),
        ("2026-03-06T21:00:00Z", "2026-03-07T05:00:00Z", "hr of acme"),
        ("2026-03-07T05:00:00Z", "2026-03-07T12:00:00Z", None),
    ]
    assert [one["starts_at"] for one in found["gaps"]] == [times[0][0], times[2][0], times[4][0]]
    assert found["shifts"][1]["layer"]["name"] == "Week"
    late = agent.get(f"{ROOT}{schedule.pk}/shifts/?from=2096-03-01T23:59:00Z&to=2096-03-02T00:30:00Z").json()
    assert [one["override"] for one in late["shifts"]] == [None, override["id"]]
    assert agent.get(f"{ROOT}{schedule.pk}/shifts/").status_code == 200


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=2026-03-05T12:00:00Z&to=2026-03-05T12:00:00Z", "to"),
        ("from=2026-03-05T12:00:00Z&to=2026-03-01T12:00:00Z", "to"),
        ("from=2026-03-05T12:00:00Z&to=2026-08-05T12:00:00Z", "to"),
        ("from=1600-01-01T00:00:00Z", "from"),
        ("from=9999-12-31T23:59:59Z", "from"),
        ("from=yesterday", "from"),
        ("since=2026-03-05T12:00:00Z", "since"),
    ],
    ids=range(7),
)
def test_windows_that_cannot_be_are_refused_by_name(
    agent: Caller, schedule: OnCallSchedule, query: str, name: str
) -> None:
    answer = agent.get(f"{ROOT}{schedule.pk}/shifts/?{query}")
    assert answer.status_code == 400
    assert [one["parameter"] for one in answer.json()["errors"]] == [name]


def test_bad_bodies_name_the_field_and_write_nothing(acme: Desk, globex: Desk, manager: Caller) -> None:
    schedule = make_schedule(acme)
    before = snapshot(acme, but=frozenset({"api_idempotencykey"}))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"layers": [layer(acme, "hr", every=0)]}, "/layers/0/every"),
        ({"layers": [layer(acme)]}, "/layers/0/participants"),
        ({"layers": [layer(acme, "hr", time_zone="Mars/Olympus")]}, "/layers/0/time_zone"),
        ({"layers": [layer(acme, "hr", handoff="25:00")]}, "/layers/0/handoff"),
        ({"layers": [layer(acme, "hr", starts_on="soon")]}, "/layers/0/starts_on"),
        ({"layers": [layer(acme, "hr", duration="P7D")]}, "/layers/0/duration"),
        ({"layers": [layer(acme, "hr", restrictions={"mon": "always"})]}, "/layers/0/restrictions/mon"),
        ({"layers": [layer(acme, "hr", restrictions={"mon": [["9", "17"]]})]}, "/layers/0/restrictions/mon/0"),
        ({"layers": [layer(acme, "hr", participants=[str(globex.people["hr"].pk)])]}, "/layers/0/participants/0"),
        ({"layers": "all"}, "/layers"),
        ({"team": str(globex.teams["apps"].pk)}, "/team"),
        ({"name": ""}, "/name"),
    ]
    for body, pointer in cases:
        for answer in (
            manager.post(ROOT, {"name": "New", **body}),
            manager.patch(f"{ROOT}{schedule.pk}/", body, If_Match="*"),
        ):
            assert answer.status_code == 400, (body, answer.content)
            assert [one["pointer"] for one in answer.json()["errors"]] == [pointer], body
    for name in ("prose", "many shifts", "large", "no event"):
        answer = manager.post(f"{ROOT}{schedule.pk}/import/", {"calendar": HOSTILE[name][0], "apply": True})
        assert answer.status_code == 400, name
        assert [one["pointer"] for one in answer.json()["errors"]] == ["/calendar"]
    late = {"starts_at": "2096-03-02T01:00:00Z", "ends_at": "2096-03-02T00:00:00Z", "person": None}
    assert (
        problem(manager.post(f"{ROOT}{schedule.pk}/overrides/", late), 400, "invalid")["errors"][0]["code"]
        == "reversed"
    )
    assert changes(before, snapshot(acme, but=frozenset({"api_idempotencykey"}))) == []


def test_overrides_are_added_listed_read_and_deleted(acme: Desk, manager: Caller, agent: Caller) -> None:
    schedule = make_schedule(acme)
    ahead = clock.now() + timedelta(days=30)
    given = {
        "starts_at": ahead.isoformat(),
        "ends_at": (ahead + timedelta(hours=2)).isoformat(),
        "person": str(acme.people["colleague"].pk),
    }
    made = manager.post(f"{ROOT}{schedule.pk}/overrides/", given)
    assert (made.status_code, made.json()["person"], made.json()["is_imported"]) == (
        201,
        person(acme, "colleague"),
        False,
    )
    assert agent.get(made["Location"]).json() == made.json()
    assert agent.get(f"{ROOT}{schedule.pk}/overrides/").json()["results"] == [made.json()]
    problem(agent.delete(made["Location"]), 403, "forbidden")
    assert manager.delete(made["Location"]).status_code == 204
    assert agent.get(f"{ROOT}{schedule.pk}/overrides/").json()["results"] == []
    problem(agent.get(made["Location"]), 404, "not_found")
    # A token that may write and not read gets its answer all the same.
    writer = Caller(acme, "manager", "oncall:write")
    assert writer.post(f"{ROOT}{schedule.pk}/overrides/", given).status_code == 201
    problem(writer.get(ROOT), 403, "forbidden")
    problem(Caller(acme, "manager", "oncall:read").post(f"{ROOT}{schedule.pk}/overrides/", given), 403, "forbidden")
    problem(Caller(acme, "requester").get(ROOT), 403, "forbidden")


def test_a_calendar_is_reviewed_and_imported(acme: Desk, manager: Caller, schedule: OnCallSchedule) -> None:
    year = clock.now().year + 1
    text = calendar(HR.replace("20260306", f"{clock.now() + timedelta(days=9):%Y%m%d}"))
    review = manager.post(f"{ROOT}{schedule.pk}/import/", {"calendar": text}).json()
    assert (review["applied"], len(review["added"]), review["left_out"]) == (False, 1, [])
    assert review["added"][0]["person"] == person(acme, "hr")
    with acme.inside():
        assert OnCallOverride.objects.count() == 0
    done = manager.post(f"{ROOT}{schedule.pk}/import/", {"calendar": text, "apply": True}).json()
    assert done["applied"] is True
    listed = manager.get(f"{ROOT}{schedule.pk}/overrides/").json()["results"]
    assert [(one["is_imported"], one["person"]) for one in listed] == [(True, person(acme, "hr"))]
    assert year > 2025


def test_a_restricted_teams_schedule_is_unknown_to_others(acme: Desk, agent: Caller) -> None:
    secret = make_schedule(acme, "HR nights", team_id=acme.teams["hr"].pk)
    make_schedule(acme, "Open")
    assert [row["name"] for row in agent.get(ROOT).json()["results"]] == ["Open"]
    for part in ("", "now/", "shifts/", "overrides/"):
        problem(agent.get(f"{ROOT}{secret.pk}/{part}"), 404, "not_found")
        problem(agent.get(f"{ROOT}{uuid4()}/{part}"), 404, "not_found")
    assert [row["name"] for row in Caller(acme, "hr").get(ROOT).json()["results"]] == ["HR nights", "Open"]


@pytest.mark.parametrize("address", sorted(BUDGETS))
def test_the_number_of_queries_is_fixed(acme: Desk, agent: Caller, address: str) -> None:
    spent = []
    for rows in (2, 8):
        with acme.inside():
            while (count := OnCallSchedule.objects.count()) < rows:
                schedule = make_schedule(acme, f"Schedule {count}", team_id=acme.teams["apps"].pk)
        agent.get("me/")
        with CaptureQueriesContext(connection) as queries:
            assert agent.get(address.replace("{id}", str(schedule.pk))).status_code == 200
        frames = ("SAVEPOINT", "RELEASE", "ROLLBACK", "SELECT set_config")
        spent.append(len([one for one in queries.captured_queries if not one["sql"].startswith(frames)]))
    assert spent == [BUDGETS[address]] * 2, "update tests/budgets.json on purpose, never in passing"
