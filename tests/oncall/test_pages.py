"""The on-call pages and the admin's: what they show to whom, and that their forms go through the commands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from itsm.access.commands import set_person_active, update_person
from itsm.kernel import clock
from itsm.oncall.models import OnCallFeed, OnCallLayer, OnCallOverride, OnCallParticipant, OnCallSchedule
from itsm.oncall.who import on_call
from tests.factories import Desk
from tests.oncall.schedules import THURSDAY, make_schedule, rules
from tests.oncall.test_calendars import HOSTILE, HR, calendar, event

pytestmark = pytest.mark.django_db
PAGE = "/t/acme/oncall/"


def text(response: Any) -> str:
    return str(response.content.decode())


def browser(desk: Desk, name: str) -> Client:
    client = Client()
    client.force_login(desk.users[name])
    return client


def get(client: Client, path: str = PAGE, at: datetime = THURSDAY) -> Any:
    with clock.at(at):
        return client.get(path)


def test_the_page_says_who_is_on_call_now_next_and_when_nobody_is(acme: Desk) -> None:
    make_schedule(acme)
    nights = {day: [["22:00", "06:00"]] for day in ("thu", "fri")}
    make_schedule(acme, "Nights", layers=[rules(acme, "hr", restrictions=nights)])
    page = text(get(browser(acme, "agent")))
    network, nights_part = page.split('id="board-2"')[0], page.split('id="board-2"')[1]
    assert '<span class="dim">Now</span> <strong><bdi>agent of acme</bdi></strong>' in network
    assert '<span class="dim">Behind</span> <bdi>hr of acme</bdi>' in network
    assert "Nobody is on call now." not in network
    assert "<bdi>manager of acme</bdi>" in network
    assert "Nobody is on call now." in nights_part
    assert '<div class="duty gap"' in nights_part
    assert "<strong>Nobody</strong>" in nights_part
    assert "Nobody is on call at these times:" in nights_part
    assert 'href="/t/acme/oncall/"' in page


def test_the_grid_is_in_the_readers_zone(acme: Desk) -> None:
    make_schedule(acme, layers=[rules(acme, "hr", restrictions={"fri": [["09:00", "17:00"]]})])
    update_person(actor=acme.actor("agent"), person_id=acme.people["agent"].pk, time_zone="America/New_York")
    page = text(get(browser(acme, "agent")))
    assert '<span class="times">03:00–11:00</span> <bdi>hr of acme</bdi>' in page
    update_person(actor=acme.actor("agent"), person_id=acme.people["agent"].pk, time_zone="Europe/Berlin")
    assert '<span class="times">09:00–17:00</span> <bdi>hr of acme</bdi>' in text(get(browser(acme, "agent")))


def test_without_schedules_the_page_says_what_to_do(acme: Desk) -> None:
    assert "There is no on-call schedule yet." in text(get(browser(acme, "agent")))
    assert "/admin/oncall/oncallschedule/add/" in text(get(browser(acme, "admin")))
    assert "/admin/oncall/oncallschedule/add/" not in text(get(browser(acme, "agent")))
    requester = get(browser(acme, "requester"))
    assert requester.status_code == 403
    assert 'href="/t/acme/oncall/"' not in text(requester)


def test_who_has_left_is_flagged(acme: Desk, schedule: OnCallSchedule) -> None:
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=False)
    page = text(get(browser(acme, "manager")))
    assert "It is the turn of agent of acme, who has left." in page
    detail = text(get(browser(acme, "manager"), f"{PAGE}{schedule.pk}/"))
    assert '<bdi>agent of acme</bdi> <span class="gap-tag">has left</span>' in detail


def test_the_layers_are_told_in_words(acme: Desk) -> None:
    hours = {day: [["17:00", "09:00"]] for day in ("mon", "tue", "wed", "thu", "fri")} | {"sun": [["00:00", "24:00"]]}
    layers = [rules(acme, "hr", restrictions=hours, every=2), rules(acme, "owner", unit="days")]
    made = make_schedule(acme, layers=layers)
    page = text(get(browser(acme, "agent"), f"{PAGE}{made.pk}/"))
    assert "every 2 weeks, 09:00 Europe/Berlin" in page
    assert "Mon–Fri 17:00–09:00<br>Sun 00:00–24:00" in page
    assert page.index("every day, 09:00") < page.index("every 2 weeks")
    assert "<td>always</td>" in page


def test_in_german(acme: Desk, schedule: OnCallSchedule) -> None:
    update_person(actor=acme.actor("agent"), person_id=acme.people["agent"].pk, language="de")
    for path, words in (("", "Bereitschaft"), (f"{schedule.pk}/", "Vertretungen"), ("calendars/", "Kalenderadressen")):
        assert words in text(get(browser(acme, "agent"), f"{PAGE}{path}")), path


def local(hours: int) -> str:
    return (THURSDAY + timedelta(hours=hours)).astimezone(ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%dT%H:%M")


def send(client: Client, path: str, **data: Any) -> Any:
    with clock.at(THURSDAY):
        return client.post(f"{PAGE}{path}", data)


def names(desk: Desk, schedule: OnCallSchedule, at: datetime) -> list[str]:
    with desk.inside():
        return [person.name for person in on_call(schedule.pk, at)]


def test_an_override_is_set_and_removed_on_the_page(acme: Desk, schedule: OnCallSchedule) -> None:
    manager = browser(acme, "manager")
    update_person(actor=acme.actor("manager"), person_id=acme.people["manager"].pk, time_zone="Europe/Berlin")
    bad = send(manager, f"{schedule.pk}/", starts_at=local(2), ends_at=local(1), person_id="colleague of acme")
    assert (bad.status_code, "The end must be after the start." in text(bad)) == (400, True)
    unknown = send(manager, f"{schedule.pk}/", starts_at=local(1), ends_at=local(2), person_id="Nobody I know")
    assert (unknown.status_code, "Nobody here has this name" in text(unknown)) == (400, True)
    for rubbish in ("rubbish", "9999-12-31T23:59", "0001-01-01T00:00", ""):
        assert send(manager, f"{schedule.pk}/", starts_at=rubbish, ends_at=local(2), person_id="").status_code == 400
    with acme.inside():
        assert not OnCallOverride.objects.exists()
    done = send(manager, f"{schedule.pk}/", starts_at=local(1), ends_at=local(2), person_id="colleague of acme")
    assert done.status_code == 302
    assert names(acme, schedule, THURSDAY + timedelta(minutes=90)) == ["colleague of acme"]
    with acme.inside():
        row = OnCallOverride.objects.get()
    assert row.starts_at == THURSDAY + timedelta(hours=1)
    assert f"/overrides/{row.pk}/remove/" in text(get(manager, f"{PAGE}{schedule.pk}/"))
    assert f"/overrides/{row.pk}/remove/" not in text(get(browser(acme, "hr"), f"{PAGE}{schedule.pk}/"))
    assert send(browser(acme, "hr"), f"{schedule.pk}/overrides/{row.pk}/remove/").status_code == 403
    assert send(manager, f"{schedule.pk}/overrides/{row.pk}/remove/").status_code == 302
    assert names(acme, schedule, THURSDAY + timedelta(minutes=90)) == ["agent of acme"]


def test_an_agent_hands_his_shift_over_on_the_page(acme: Desk, schedule: OnCallSchedule) -> None:
    agent, owner = browser(acme, "agent"), str(acme.people["owner"].pk)
    update_person(actor=acme.actor("agent"), person_id=acme.people["agent"].pk, time_zone="Europe/Berlin")
    page = text(get(agent, f"{PAGE}{schedule.pk}/"))
    assert "Who takes your shift" in page
    assert f'<option value="{owner}">owner of acme</option>' in page
    assert str(acme.people["agent"].pk) not in page.split("Who takes your shift")[1].split("</select>")[0]
    assert "Import a calendar" not in page
    stranger = str(acme.people["colleague"].pk)
    for person, hours in ((stranger, (1, 2)), (owner, (1, 24 * 7)), ("", (1, 2))):
        answer = send(agent, f"{schedule.pk}/", starts_at=local(hours[0]), ends_at=local(hours[1]), person_id=person)
        assert answer.status_code in {400, 403}
    with acme.inside():
        assert not OnCallOverride.objects.exists()
    assert send(agent, f"{schedule.pk}/", starts_at=local(1), ends_at=local(2), person_id=owner).status_code == 302
    assert names(acme, schedule, THURSDAY + timedelta(minutes=90)) == ["owner of acme"]


def test_a_calendar_is_reviewed_on_the_page_before_it_is_imported(acme: Desk, schedule: OnCallSchedule) -> None:
    manager, path = browser(acme, "manager"), f"{schedule.pk}/import/"
    assert get(manager, PAGE + path).status_code == 200
    assert get(browser(acme, "agent"), PAGE + path).status_code == 403
    content = calendar(HR, event("z", "DTSTART:20260308T090000Z", "DURATION:PT4H", summary="Zoë Unknown"))
    review = send(manager, path, file=SimpleUploadedFile("shifts.ics", content.encode()))
    page = text(review)
    assert review.status_code == 200
    assert "New: 1. Replaced or gone: 0. Unchanged: 0." in page
    assert "Zoë Unknown" in page
    assert "Unknown person" in page
    with acme.inside():
        assert not OnCallOverride.objects.exists()
    assert send(manager, path, calendar=content, apply="yes").status_code == 302
    with acme.inside():
        assert OnCallOverride.objects.get().person_id == acme.people["hr"].pk
    nothing = send(manager, path, calendar=calendar(event("z", "DTSTART:20260308T090000Z", "DURATION:PT4H")))
    assert "Nothing to import" in text(nothing)
    for hostile in (HOSTILE["prose"][0], HOSTILE["many shifts"][0], HOSTILE["large"][0], ""):
        answer = send(manager, path, calendar=hostile, apply="yes")
        assert (answer.status_code, "errorlist" in text(answer)) == (400, True)
    assert send(manager, path, file=SimpleUploadedFile("a.ics", b"\xff\xfe\x00")).status_code == 400
    with acme.inside():
        assert OnCallOverride.objects.count() == 1


def test_calendar_addresses_are_made_shown_once_and_revoked(acme: Desk, schedule: OnCallSchedule) -> None:
    agent = browser(acme, "agent")
    assert "None yet." in text(get(agent, f"{PAGE}calendars/"))
    made = send(agent, "calendars/", schedule_id=str(schedule.pk))
    assert (made.status_code, "no-store" in made["Cache-Control"]) == (201, True)
    address = text(made).split("<code>http://testserver")[1].split("</code>")[0]
    assert get(Client(), address).status_code == 200
    assert address not in text(get(agent, f"{PAGE}calendars/"))
    assert send(agent, "calendars/", schedule_id="").status_code == 201
    assert send(agent, "calendars/", schedule_id="x").status_code == 400
    with acme.inside():
        feed = OnCallFeed.objects.get(schedule__isnull=False)
    assert send(agent, f"calendars/{feed.pk}/revoke/").status_code == 302
    assert get(Client(), address).status_code == 404


def test_schedules_and_layers_are_configured_in_the_admin(acme: Desk) -> None:
    admin, root = browser(acme, "admin"), "/t/acme/admin/oncall"
    assert admin.post(f"{root}/oncallschedule/add/", {"name": "Network", "description": ""}).status_code == 302
    with acme.inside():
        schedule = OnCallSchedule.objects.get()
    assert not schedule.is_active
    data = {"name": "Networks", "description": "", "team": str(acme.teams["network"].pk), "is_active": "on"}
    assert admin.post(f"{root}/oncallschedule/{schedule.pk}/change/", data).status_code == 302
    layer = {
        "schedule": str(schedule.pk),
        "name": "Nights",
        "time_zone": "Europe/Berlin",
        "starts_on": "2026-03-02",
        "handoff": "09:00",
        "unit": "weeks",
        "every": "1",
        "participants": "agent@acme.example\nhr of acme\n",
        "restrictions": "mon-thu 17:00-09:00\nfri 17:00-24:00\nsat, sun 00:00-24:00",
    }
    for name, value in {
        "participants": "nobody@acme.example",
        "every": "0",
        "time_zone": "Mars/Olympus",
        "restrictions": "always at night",
        "starts_on": "1900-01-01",
    }.items():
        answer = admin.post(f"{root}/oncalllayer/add/", {**layer, name: value})
        assert (answer.status_code in {200, 400}, "errorlist" in text(answer)) == (True, True), name
    with acme.inside():
        assert not OnCallLayer.objects.exists()
    assert admin.post(f"{root}/oncalllayer/add/", layer).status_code == 302
    with acme.inside():
        row = OnCallLayer.objects.get()
        people = list(OnCallParticipant.objects.order_by("position").values_list("person_id", flat=True))
    assert people == [acme.people["agent"].pk, acme.people["hr"].pk]
    assert row.restrictions["sun"] == [["00:00", "24:00"]]
    assert row.restrictions["tue"] == [["17:00", "09:00"]]
    page = text(admin.get(f"{root}/oncalllayer/{row.pk}/change/"))
    assert "agent@acme.example\nhr@acme.example" in page
    assert "fri 17:00-24:00" in page
    changed = {**layer, "every": "2", "restrictions": ""}
    assert admin.post(f"{root}/oncalllayer/{row.pk}/change/", changed).status_code == 302
    with acme.inside():
        row.refresh_from_db()
    assert (row.every, row.restrictions) == (2, {})
    assert names(acme, schedule, THURSDAY + timedelta(days=7)) == ["agent of acme"]
    action = {"action": "remove", "_selected_action": str(row.pk)}
    assert admin.post(f"{root}/oncalllayer/", action).status_code == 302
    assert names(acme, schedule, THURSDAY) == []
    assert browser(acme, "agent").post(f"{root}/oncalllayer/add/", layer).status_code == 403
