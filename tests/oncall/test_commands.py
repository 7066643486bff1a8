"""Schedules, overrides and swaps by commands: what they write, what they refuse, and that a refusal leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest

from itsm.access.commands import set_person_active
from itsm.access.page import permission_page
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import DomainError, Forbidden, Invalid, NotFound
from itsm.oncall import commands
from itsm.oncall.models import OnCallLayer, OnCallOverride, OnCallParticipant, OnCallSchedule
from itsm.oncall.schedules import plan_of
from itsm.oncall.who import on_call
from tests.factories import Desk
from tests.oncall.schedules import THURSDAY, berlin, make_schedule, rules
from tests.snapshot import changes, snapshot

pytestmark = pytest.mark.django_db


def names(desk: Desk, schedule: OnCallSchedule, at: datetime = THURSDAY, level: int = 1) -> list[str]:
    with desk.inside():
        return [person.name.removesuffix(" of acme") for person in on_call(schedule.pk, at, level)]


def refused(desk: Desk, act: Callable[[], Any], error: type[DomainError], code: str = "", place: str = "") -> None:
    """The command refuses with this error and code at this place, and leaves every row as it was."""
    before = snapshot(desk)
    with pytest.raises(error) as caught:
        act()
    if code:
        found = [(one.code, one.pointer) for one in caught.value.problems]  # type: ignore[attr-defined]
        assert found == [(code, place)]
    assert changes(before, snapshot(desk)) == []


def test_a_schedule_answers_by_level_and_week(acme: Desk, schedule: OnCallSchedule) -> None:
    weeks = [berlin(f"2026-03-{day:02} 08:59") for day in (9, 16, 23)] + [berlin("2026-03-30 09:00")]
    assert [names(acme, schedule, at) for at in weeks] == [["agent"], ["manager"], ["owner"], ["manager"]]
    assert [names(acme, schedule, level=level) for level in (1, 2, 3)] == [["agent"], ["hr"], []]
    assert names(acme, schedule, berlin("2026-03-02 08:59")) == []
    with acme.inside():
        assert on_call(uuid4(), THURSDAY) == []
        with pytest.raises(ValueError, match="level from 1"):
            on_call(schedule.pk, THURSDAY, 0)
        with pytest.raises(ValueError, match="aware"):
            on_call(schedule.pk, datetime(2026, 3, 5))  # noqa: DTZ001
        event = Event.objects.get(kind="oncall.schedule_created")
    assert event.payload["schedule"] == str(schedule.pk)
    assert [one["participants"] for one in event.payload["layers"]] == [
        [str(acme.people["hr"].pk)],
        [str(acme.people[name].pk) for name in ("agent", "manager", "owner")],
    ]


def test_who_left_is_passed_over_and_a_schedule_out_of_use_puts_nobody_on_call(
    acme: Desk, schedule: OnCallSchedule
) -> None:
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=False)
    assert [names(acme, schedule, level=level) for level in (1, 2)] == [["hr"], []]
    with acme.inside():
        assert plan_of(schedule, THURSDAY).at(THURSDAY).skipped == (acme.people["agent"].pk,)
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["hr"].pk, active=False)
    assert names(acme, schedule) == []
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=True)
    assert names(acme, schedule) == ["agent"]
    commands.update_schedule(actor=acme.actor("admin"), schedule_id=schedule.pk, active=False)
    assert names(acme, schedule) == []


def test_another_organisation_sees_nothing_of_it(acme: Desk, globex: Desk, schedule: OnCallSchedule) -> None:
    with globex.inside():
        assert on_call(schedule.pk, THURSDAY) == []
        assert OnCallLayer.objects.count() == OnCallParticipant.objects.count() == OnCallOverride.objects.count() == 0
    refused(
        acme,
        lambda: commands.update_schedule(actor=globex.actor("admin"), schedule_id=schedule.pk, name="Mine"),
        NotFound,
    )


@pytest.mark.parametrize(
    ("given", "code", "place"),
    [
        ({"participants": []}, "required", "participants"),
        ({"time_zone": "Mars/Olympus"}, "unknown_zone", "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "unknown_zone", "time_zone"),
        ({"unit": "hours", "every": 0}, "out_of_range", "every"),
        ({"unit": "hours", "every": -3}, "out_of_range", "every"),
        ({"unit": "hours", "every": 169}, "out_of_range", "every"),
        ({"unit": "months"}, "unknown_value", "unit"),
        ({"starts_on": date(1970, 1, 1)}, "out_of_range", "starts_on"),
        ({"handoff": time(9, 0, 30)}, "bad_time", "handoff"),
        ({"name": ""}, "required", "name"),
        ({"restrictions": {"mon": []}}, "never", "restrictions"),
        ({"restrictions": {"monday": [["09:00", "17:00"]]}}, "unknown_day", "restrictions/monday"),
        ({"restrictions": {"mon": [["17:00", "17:00"]]}}, "no_length", "restrictions/mon/0"),
    ],
    ids=range(13),
)
def test_rules_that_cannot_be_are_refused_at_their_place(
    acme: Desk, given: dict[str, Any], code: str, place: str
) -> None:
    schedule = make_schedule(acme)
    bad = rules(acme, "agent", **given)
    admin = acme.actor("admin")
    refused(
        acme,
        lambda: commands.create_schedule(actor=admin, name="New", layers=[rules(acme, "hr"), bad]),
        Invalid,
        code,
        f"/layers/1/{place}",
    )
    refused(
        acme,
        lambda: commands.update_schedule(actor=admin, schedule_id=schedule.pk, layers=[bad]),
        Invalid,
        code,
        f"/layers/0/{place}",
    )
    refused(
        acme, lambda: commands.add_layer(actor=admin, schedule_id=schedule.pk, rules=bad), Invalid, code, f"/{place}"
    )


def test_people_who_left_or_are_elsewhere_are_refused(acme: Desk, globex: Desk, schedule: OnCallSchedule) -> None:
    admin, agent = acme.actor("admin"), acme.people["agent"].pk
    stranger = rules(acme, participants=[acme.people["hr"].pk, globex.people["agent"].pk])
    refused(
        acme,
        lambda: commands.create_schedule(actor=admin, name="New", layers=[stranger]),
        Invalid,
        "unknown_reference",
        "/layers/0/participants/1",
    )
    refused(
        acme,
        lambda: commands.create_schedule(actor=admin, name="New", team_id=globex.teams["apps"].pk),
        Invalid,
        "unknown_reference",
        "/team",
    )
    set_person_active(actor=admin, person_id=agent, active=False)
    refused(
        acme,
        lambda: commands.create_schedule(actor=admin, name="New", layers=[rules(acme, "agent")]),
        Invalid,
        "unknown_reference",
        "/layers/0/participants/0",
    )
    # Where he was, he may stay: other rules can still be changed.
    with acme.inside():
        layer = OnCallLayer.objects.get(name="Week")
    commands.update_layer(actor=admin, layer_id=layer.pk, rules=rules(acme, "agent", "manager", every=2))
    assert names(acme, schedule, berlin("2026-03-16 09:00")) == ["manager"]


def test_changing_layers_keeps_their_identity_and_says_what_changed(acme: Desk, schedule: OnCallSchedule) -> None:
    with acme.inside():
        before = list(OnCallLayer.objects.order_by("position").values_list("pk", flat=True))
    admin = acme.actor("admin")
    commands.update_schedule(
        actor=admin,
        schedule_id=schedule.pk,
        description="For the routers",
        layers=[rules(acme, "owner"), rules(acme, "manager"), rules(acme, "hr", name="Nights")],
    )
    with acme.inside():
        after = list(OnCallLayer.objects.order_by("position").values_list("pk", flat=True))
        event = Event.objects.filter(kind="oncall.schedule_changed").latest("id")
    assert after[:2] == before
    assert len(after) == 3
    assert event.payload["fields"] == ["description", "layers"]
    assert [names(acme, schedule, level=n) for n in (1, 2, 3)] == [["hr"], ["manager"], ["owner"]]
    commands.remove_layer(actor=admin, layer_id=after[1])
    assert [names(acme, schedule, level=n) for n in (1, 2, 3)] == [["hr"], ["owner"], []]
    commands.add_layer(actor=admin, schedule_id=schedule.pk, rules=rules(acme, "agent"))
    assert [names(acme, schedule, level=n) for n in (1, 2, 3)] == [["agent"], ["hr"], ["owner"]]
    commands.update_schedule(actor=admin, schedule_id=schedule.pk, layers=[])
    assert names(acme, schedule) == []
    top = commands.add_layer(actor=admin, schedule_id=schedule.pk, rules=rules(acme, "agent")).pk
    refused(
        acme,
        lambda: commands.create_schedule(actor=admin, name="Network"),
        Invalid,
        "taken",
        "/name",
    )
    for who in ("requester", "agent", "auditor"):
        refused(acme, lambda who=who: commands.create_schedule(actor=acme.actor(who), name="New"), Forbidden)  # type: ignore[misc]
        refused(acme, lambda who=who: commands.remove_layer(actor=acme.actor(who), layer_id=top), Forbidden)  # type: ignore[misc]


def override(desk: Desk, schedule: OnCallSchedule, by: str, person: str | None, **given: Any) -> OnCallOverride:
    hour = timedelta(hours=1)
    with clock.at(THURSDAY):
        return commands.add_override(
            actor=desk.actor(by),
            schedule_id=schedule.pk,
            person_id=desk.people[person].pk if person else None,
            **{"starts_at": THURSDAY + hour, "ends_at": THURSDAY + 3 * hour, **given},
        )


def test_an_override_holds_for_its_time_and_can_be_taken_away(acme: Desk, schedule: OnCallSchedule) -> None:
    made = override(acme, schedule, "admin", "colleague")
    hours = [THURSDAY + timedelta(minutes=m) for m in (59, 60, 179, 180)]
    assert [names(acme, schedule, at) for at in hours] == [["agent"], ["colleague"], ["colleague"], ["agent"]]
    assert names(acme, schedule, hours[1], level=2) == ["hr"]
    nobody = override(acme, schedule, "admin", None)
    assert names(acme, schedule, hours[1]) == []
    assert names(acme, schedule, hours[1], level=2) == ["hr"]
    for one in (nobody, made):
        commands.remove_override(actor=acme.actor("admin"), schedule_id=schedule.pk, override_id=one.pk)
    assert names(acme, schedule, hours[1]) == ["agent"]
    with acme.inside():
        kinds = list(Event.objects.filter(kind__startswith="oncall.override").values_list("kind", flat=True))
        added = Event.objects.filter(kind="oncall.override_added").order_by("id").first()
    assert sorted(kinds) == ["oncall.override_added"] * 2 + ["oncall.override_removed"] * 2
    assert added is not None
    assert (added.payload["person"], added.payload["swap"]) == (str(acme.people["colleague"].pk), False)
    refused(
        acme,
        lambda: commands.remove_override(actor=acme.actor("admin"), schedule_id=schedule.pk, override_id=made.pk),
        NotFound,
    )


def test_overrides_that_cannot_be_are_refused(acme: Desk, globex: Desk, schedule: OnCallSchedule) -> None:
    def attempt(code: str, place: str, by: str = "admin", person: str | None = "hr", **given: Any) -> None:
        refused(acme, lambda: override(acme, schedule, by, person, **given), Invalid, code, place)

    hour = timedelta(hours=1)
    attempt("reversed", "/ends_at", starts_at=THURSDAY + hour, ends_at=THURSDAY)
    attempt("reversed", "/ends_at", starts_at=THURSDAY, ends_at=THURSDAY)
    attempt("too_long", "/ends_at", ends_at=THURSDAY + timedelta(days=400))
    attempt("in_the_past", "/ends_at", starts_at=THURSDAY - 2 * hour, ends_at=THURSDAY)
    acme.people["stranger"] = globex.people["agent"]
    attempt("unknown_reference", "/person", person="stranger")
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["hr"].pk, active=False)
    attempt("unknown_reference", "/person")


def test_everybody_hands_over_his_own_shift_and_no_other(acme: Desk, schedule: OnCallSchedule) -> None:
    hour = timedelta(hours=1)
    made = override(acme, schedule, "agent", "owner")
    assert names(acme, schedule, THURSDAY + 2 * hour) == ["owner"]
    with acme.inside():
        assert Event.objects.get(kind="oncall.override_added").payload["swap"] is True
    # Not his any more, so not his to hand over again; and to nobody, to himself, or to a stranger to the rota neither.
    later = {"starts_at": THURSDAY + 5 * hour, "ends_at": THURSDAY + 6 * hour}
    refused(acme, lambda: override(acme, schedule, "agent", "owner"), Forbidden)
    refused(acme, lambda: override(acme, schedule, "agent", None, **later), Invalid, "not_on_the_rota", "/person")
    refused(acme, lambda: override(acme, schedule, "agent", "agent", **later), Invalid, "not_on_the_rota", "/person")
    refused(
        acme, lambda: override(acme, schedule, "agent", "colleague", **later), Invalid, "not_on_the_rota", "/person"
    )
    # Beyond the end of his week; somebody else's; and whoever has no part in it.
    beyond = {"starts_at": THURSDAY + 5 * hour, "ends_at": THURSDAY + timedelta(days=6)}
    refused(acme, lambda: override(acme, schedule, "agent", "owner", **beyond), Forbidden)
    refused(acme, lambda: override(acme, schedule, "hr", "owner", **later), Forbidden)
    refused(acme, lambda: override(acme, schedule, "requester", "owner", **later), Forbidden)
    refused(acme, lambda: override(acme, schedule, "auditor", "owner", **later), Forbidden)
    # He may take back what he gave away; another agent may not.
    gone = {"schedule_id": schedule.pk, "override_id": made.pk}
    refused(acme, lambda: commands.remove_override(actor=acme.actor("hr"), **gone), Forbidden)  # type: ignore[arg-type]
    commands.remove_override(actor=acme.actor("agent"), **gone)  # type: ignore[arg-type]
    assert names(acme, schedule, THURSDAY + 2 * hour) == ["agent"]


def test_a_restricted_teams_schedule_exists_for_its_members_only(acme: Desk) -> None:
    secret = make_schedule(acme, "HR nights", team_id=acme.teams["hr"].pk)
    for who in ("agent", "manager", "auditor"):
        refused(acme, lambda who=who: override(acme, secret, who, "owner"), NotFound)  # type: ignore[misc]
    refused(acme, lambda: override(acme, secret, "hr", "owner"), Forbidden)
    # Escalation asks nobody's rights.
    assert names(acme, secret) == ["agent"]


def test_the_permission_page_has_the_rows() -> None:
    page = permission_page()
    assert "| `oncall.read` | – | all | all | all | all | all | all | all |" in page
    assert "| `oncall.manage` | – | – | all | all | all | – | all | all |" in page
    assert "| `oncall.swap` | – | all | all | all | all | – | all | all |" in page
