"""Service levels in the admin: what a process owner sees, tries, saves and is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from itsm.escalation.audit import escalation_figures
from itsm.sla.models import SlaCalendar, SlaCalendarVersion, SlaPolicy, SlaPolicyVersion
from tests.escalation import chains as escalate
from tests.factories import Desk
from tests.sla.desk import at, clocks, on
from tests.web.conftest import Browser

pytestmark = pytest.mark.django_db

WEEK = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
HOURS = {"timezone": "UTC", "weekly": WEEK, "exceptions": {}}
ADMIN = "/t/acme/admin/sla"


def text(response: Any) -> str:
    return str(response.content.decode())


def row(desk: Desk, model: Any, name: str) -> Any:
    with desk.inside():
        return model.objects.get(name=name)


def given(hours: Any = None, **fields: Any) -> dict[str, Any]:
    return {"name": "Office hours", "is_active": "on", "hours": json.dumps(hours or HOURS), "labels": "{}", **fields}


def test_a_calendar_is_a_week_and_the_days_that_differ(acme: Desk, browser: Browser) -> None:
    owner = browser("owner")
    with at(1, 9):
        made = owner.post(f"{ADMIN}/slacalendar/add/", {
            "name": "Shop", "hours": json.dumps({**HOURS, "exceptions": {"2026-12-25": [], "2026-12-24": [["09:00", "13:00"]]}}),
            "labels": json.dumps({"2026-12-25": "Christmas"}),
        })  # fmt: skip
        assert made.status_code == 302, text(made)
        shop = row(acme, SlaCalendar, "Shop")
        page = text(owner.get(f"{ADMIN}/slacalendar/{shop.pk}/change/"))
    for said in (
        "<td>Monday</td><td>09:00–17:00</td>",
        "<td>Sunday</td><td>closed</td>",
        "<td>Christmas</td>",
        "09:00–13:00",
    ):
        assert said in page
    assert "09:00–17:00" in text(owner.get(f"{ADMIN}/slacalendar/"))
    reader = text(browser("agent").get(f"{ADMIN}/slacalendar/{shop.pk}/change/"))
    assert "<td>Monday</td><td>09:00–17:00</td>" in reader
    assert "<textarea" not in reader
    assert browser("agent").post(f"{ADMIN}/slacalendar/{shop.pk}/change/", given()).status_code == 403


def test_new_hours_are_tried_and_then_saved(acme: Desk, browser: Browser) -> None:
    owner, office = browser("owner"), row(acme, SlaCalendar, "Office hours")
    here = f"{ADMIN}/slacalendar/{office.pk}"
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    new = {**HOURS, "exceptions": {"2026-11-24": []}}
    with at(1, 10):
        page = text(owner.post(f"{here}/preview/", given(new)))
        assert ticket.number in page
        assert "1 would move: 0 to an earlier time, 1 to a later one." in page
        with acme.inside():
            assert SlaCalendarVersion.objects.filter(calendar=office.pk).count() == 1
        assert owner.post(f"{here}/change/", given(new)).status_code == 302
        assert clocks(acme, ticket)["resolution"].due_at == on(4, 17)
        bad = owner.post(
            f"{here}/change/", given({**HOURS, "weekly": {"mon": [["17:00", "09:00"], ["08:00", "10:00"]]}})
        )
        assert bad.status_code == 302, "over midnight, which is no mistake"
        bad = owner.post(
            f"{here}/change/", given({**HOURS, "weekly": {"mon": [["09:00", "12:00"], ["11:00", "13:00"]]}})
        )
        assert (bad.status_code, "weekly/mon/1: " in text(bad)) == (400, True)
        tried = owner.post(f"{here}/preview/", given({**HOURS, "timezone": "Europe/Berlin"}))
        assert (tried.status_code, "The zone of a calendar is for good" in text(tried)) == (400, True)
    assert owner.post(f"{here}/preview/", given(hours="nothing")).status_code == 200
    assert owner.get(f"{here}/preview/").status_code == 200
    assert browser("agent").post(f"{here}/preview/", given(new)).status_code == 403


@pytest.mark.parametrize(
    "hours", ["{", "[" * 100_000, "[1]", '{"timezone": "\\ud800"}', '{"\\ud800": 1}', "NaN", "", '"x"', "\x00"]
)
def test_json_that_is_none(acme: Desk, browser: Browser, hours: str) -> None:
    office = row(acme, SlaCalendar, "Office hours")
    for page in ("change", "preview"):
        answer = browser("owner").post(f"{ADMIN}/slacalendar/{office.pk}/{page}/", {**given(), "hours": hours})
        assert answer.status_code in {200, 400}
        assert 'class="errorlist' in text(answer) or "errornote" in text(answer)
    with acme.inside():
        assert SlaCalendarVersion.objects.filter(calendar=office.pk).count() == 1


def test_a_calendar_goes_out_as_a_file_and_comes_in_as_one(acme: Desk, browser: Browser) -> None:
    owner, office = browser("owner"), row(acme, SlaCalendar, "Office hours")
    out = owner.get(f"{ADMIN}/slacalendar/{office.pk}/export/")
    assert json.loads(text(out)) == HOURS
    assert out["Content-Disposition"].startswith("attachment")
    file = SimpleUploadedFile("hours.json", out.content, "application/json")
    assert owner.post(f"{ADMIN}/slacalendar/add/", {"name": "Copy", "hours": "", "file": file}).status_code == 302
    with acme.inside():
        assert SlaCalendarVersion.objects.get(calendar__name="Copy").hours == HOURS
    for content in (b"\xff\xfe", b"{", b"[]", b""):
        file = SimpleUploadedFile("hours.json", content, "application/json")
        answer = owner.post(f"{ADMIN}/slacalendar/add/", {"name": "Bad", "hours": "", "file": file})
        assert (answer.status_code, "errorlist" in text(answer)) == (200, True)


def test_holidays_are_looked_through_and_taken_over(acme: Desk, browser: Browser) -> None:
    owner, office = browser("owner"), row(acme, SlaCalendar, "Office hours")
    here = f"{ADMIN}/slacalendar/{office.pk}/holidays/"
    with at(1, 9):
        assert "Two letters" in text(owner.get(here))
        page = text(owner.get(here, {"country": "DE", "subdivision": "BY", "years": "2026"}))
        assert 'name="day" value="2026-12-25" aria-label="Christmas Day" checked' in page.replace(" label", " label")
        assert 'value="2026-12-26" aria-label="Second Day of Christmas">' in page, "a Saturday is not ticked"
        unknown = owner.get(here, {"country": "DE", "subdivision": "ZZ", "years": "2026"})
        assert (unknown.status_code, "Parts of DE that are known: BB, BE" in text(unknown)) == (400, True)
        taken = owner.post(
            here, {"country": "DE", "subdivision": "BY", "years": "2026", "day": ["2026-12-25", "2026-01-02"]}
        )
        assert taken.status_code == 302
    with acme.inside():
        newest = SlaCalendarVersion.objects.filter(calendar=office.pk).latest("version")
        assert (newest.version, newest.hours["exceptions"], newest.labels) == (
            2, {"2026-12-25": []}, {"2026-12-25": "Christmas Day"},
        )  # fmt: skip
    assert browser("agent").get(here).status_code == 403
    assert owner.get(f"{ADMIN}/slacalendar/{acme.tenant.pk}/holidays/").status_code == 404


def test_policies_are_made_tried_ordered_and_explained(acme: Desk, browser: Browser) -> None:
    owner, always = browser("owner"), row(acme, SlaCalendar, "24x7")
    with at(1, 9):
        ticket = acme.incident(impact=1, urgency=1)
    fast = {"calendar": str(always.pk), "targets": [{"when": {"priority": [1]}, "target": "1h"}]}
    data = {"name": "Fast", "metric": "resolution", "terms": json.dumps(fast)}
    assert owner.post(f"{ADMIN}/slapolicy/add/", data).status_code == 302
    policy = row(acme, SlaPolicy, "Fast")
    here = f"{ADMIN}/slapolicy/{policy.pk}"
    page = text(owner.get(f"{here}/change/"))
    assert "<td>priority 1</td><td>1h</td><td>24x7</td>" in page
    slower = json.dumps({**fast, "targets": [{"when": {"priority": [1]}, "target": "2h"}]})
    change = {"name": "Fast", "is_active": "on", "terms": slower, "apply": "on"}
    with at(1, 9, 30):
        tried = text(owner.post(f"{here}/preview/", change))
        assert "4h → 2h" in tried
        assert clocks(acme, ticket)["resolution"].promise == "4h"
        assert owner.post(f"{here}/change/", change).status_code == 302
    assert clocks(acme, ticket)["resolution"].promise == "2h"
    bad = owner.post(f"{here}/change/", {**change, "terms": json.dumps({**fast, "targets": [{"target": "0s"}]})})
    assert (bad.status_code, "targets/0/target: " in text(bad)) == (400, True)
    usual = row(acme, SlaPolicy, "Resolution")
    action = {"action": "ask_first", "_selected_action": [str(usual.pk)]}
    refused = owner.post(f"{ADMIN}/slapolicy/", action, follow=True)
    assert "It would take every ticket that “Fast” means" in text(refused)
    assert owner.post(f"{ADMIN}/slapolicy/", {**action, "action": "ask_last"}).status_code == 302
    why = text(browser("agent").get(f"{ADMIN}/slapolicy/why/", {"ticket": ticket.number}))
    assert "holds, by its target 1: 2h in the hours of 24x7" in why
    assert "Not asked any more: Resolution" in why
    assert "There is no such ticket" in text(owner.get(f"{ADMIN}/slapolicy/why/", {"ticket": "INC0999999"}))
    assert owner.post(f"{here}/change/", {"name": "Fast", "terms": slower}).status_code == 302
    with acme.inside():
        policy.refresh_from_db()
        assert (policy.is_active, SlaPolicyVersion.objects.filter(policy=policy.pk).count()) == (False, 2)
    assert clocks(acme, ticket)["resolution"].promise == "4h"
    with at(1, 9, 40):
        assert owner.post(f"{here}/change/", {**change, "is_active": "on"}).status_code == 302
    assert clocks(acme, ticket)["resolution"].promise == "2h"
    with acme.inside():
        assert SlaPolicyVersion.objects.filter(policy=policy.pk).count() == 2, "the same terms need no new version"


def test_the_home_page_alarms_when_clocks_do_not_fire(acme: Desk, browser: Browser) -> None:
    with at(1, 9):
        ticket = acme.incident(impact=1, urgency=1)
        hidden = acme.incident(impact=1, urgency=1, team_id=acme.teams["hr"].pk, by="hr")
    with at(1, 9, 1):
        assert "should have fired" not in text(browser("owner").get("/t/acme/admin/"))
    with at(1, 15):
        page = text(browser("owner").get("/t/acme/admin/"))
        assert "2 clocks should have fired and have not." in page
        assert f'/incidents/{ticket.number}/"' in page
        assert hidden.number not in page
        assert hidden.number in text(browser("hr").get("/t/acme/admin/"))


def test_the_home_page_alarms_when_escalations_do_not_go_on(acme: Desk, browser: Browser) -> None:
    chain = escalate.policy(acme, ("1m", escalate.TEAM))
    with at(1, 9):
        ticket = acme.incident()
        escalate.start(acme, ticket, chain)
    with at(1, 9, 1):
        assert "should have gone on" not in text(browser("owner").get("/t/acme/admin/"))
    with at(1, 9, 5):
        page = text(browser("owner").get("/t/acme/admin/"))
        assert "An escalation should have gone on and has not." in page
        assert f'/incidents/{ticket.number}/"' in page
        escalate.tick(on(1, 9, 5))
        assert "should have gone on" not in text(browser("owner").get("/t/acme/admin/"))
    assert escalation_figures().untold == 0
