"""Service desks from before: they get calendars and policies, keep what they made their own, and clocks when they ask."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.wiring import PROVISION
from incidents.commands import declare_major, hold_incident, resume_incident
from itsm.sla.commands import change_calendar, update_policy
from itsm.sla.models import Metric, SlaCalendar, SlaCalendarVersion, SlaClock, SlaPolicy, SlaPolicyVersion
from itsm.sla.provision import TARGETS, provision
from tests.factories import Desk, make_desk
from tests.sla.desk import HOUR, at, clocks, due_at, on

pytestmark = pytest.mark.django_db


@pytest.fixture
def before(db: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk as it was before there were service levels."""
    with monkeypatch.context() as patch:
        patch.setattr("config.provision.PROVISION", tuple(one for one in PROVISION if one is not provision))
        return make_desk("initech")


@pytest.fixture
def before_majors(db: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk as it was when it had calendars and there were no major incidents yet."""
    with monkeypatch.context() as patch:
        patch.delitem(TARGETS, Metric.CADENCE)
        return make_desk("initech")


def names(desk: Desk) -> list[str]:
    with desk.inside():
        return sorted(
            [*SlaPolicy.objects.values_list("name", flat=True), *SlaCalendar.objects.values_list("name", flat=True)]
        )


def test_a_desk_from_before_gets_them_and_clocks_when_asked(before: Desk, globex: Desk, capsys: Any) -> None:
    with at(1, 9):
        ticket = before.incident(impact=2, urgency=2)
        hold_incident(actor=before.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(1, 12):
        resume_incident(actor=before.actor("agent"), ticket_id=ticket.pk)
    assert (names(before), clocks(before, ticket)) == ([], {})
    with at(1, 13):
        call_command("provision_tenants")
        assert names(before) == ["24x7", "Office hours", "Resolution", "Response", "Updates on major incidents"]
        assert clocks(before, ticket) == {}
        call_command("provision_tenants", "--clocks")
    found = clocks(before, ticket)
    assert (found["resolution"].started_at, found["resolution"].due_at, found["resolution"].elapsed) == (
        on(1, 9), on(4, 12), 0,
    )  # fmt: skip
    assert (found["response"].state, due_at(before, ticket)) == ("met", on(4, 12))
    assert "Service desks with all that a new one has: 2" in capsys.readouterr().out
    with before.inside():
        count = SlaClock.objects.count()
    call_command("provision_tenants", "--clocks")
    with before.inside():
        assert SlaClock.objects.count() == count


def test_what_a_desk_made_its_own_stays(acme: Desk) -> None:
    with acme.inside():
        pk = SlaPolicy.objects.get(name="Response").pk
    update_policy(actor=acme.actor("owner"), policy_id=pk, name="Answer")
    call_command("provision_tenants")
    assert names(acme) == ["24x7", "Answer", "Office hours", "Resolution", "Updates on major incidents"]


def test_a_desk_from_before_major_incidents_gets_their_promise_alone(before_majors: Desk) -> None:
    acme = before_majors
    assert names(acme) == ["24x7", "Office hours", "Resolution", "Response"]
    with acme.inside():
        pk = SlaPolicy.objects.get(name="Response").pk
        kept = list(SlaPolicy.objects.order_by("pk").values_list("pk", "name", "revision", "position"))
        SlaCalendar.objects.filter(name="24x7").update(name="Always")
    update_policy(actor=acme.actor("owner"), policy_id=pk, active=False)
    call_command("provision_tenants")
    call_command("provision_tenants")
    assert names(acme) == ["Always", "Office hours", "Resolution", "Response", "Updates on major incidents"]
    with acme.inside():
        policy = SlaPolicy.objects.get(metric="cadence")
        version = SlaPolicyVersion.objects.get(policy=policy)
        always = str(SlaCalendar.objects.get(name="Always").pk)
        changed = [(one, SlaPolicy.objects.get(pk=one[0])) for one in kept if one[0] != pk]
        assert all((row.name, row.revision, row.position) == one[1:] for one, row in changed)
        assert SlaPolicy.objects.get(pk=pk).is_active is False
    assert (policy.name, policy.is_active, policy.position, version.version) == (
        "Updates on major incidents", True, 102, 1,
    )  # fmt: skip
    assert (version.terms["calendar"], [one["target"] for one in version.terms["targets"]]) == (
        always, ["30m", "1h", "1h", "1h", "1h"],
    )  # fmt: skip
    with at(6, 22):
        ticket = acme.incident(impact=1, urgency=1)
        declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="All shops are offline.")
    assert clocks(acme, ticket)["cadence"].due_at == on(6, 22, 30)


def test_a_promise_of_news_that_people_changed_or_ended_stays_so(acme: Desk) -> None:
    with acme.inside():
        pk = SlaPolicy.objects.get(metric="cadence").pk
    update_policy(actor=acme.actor("owner"), policy_id=pk, name="News", active=False)
    call_command("provision_tenants")
    assert names(acme) == ["24x7", "News", "Office hours", "Resolution", "Response"]
    with acme.inside():
        assert SlaPolicy.objects.get(metric="cadence").is_active is False


def test_names_that_the_desk_uses_otherwise_stay_its_own(before_majors: Desk) -> None:
    acme = before_majors
    with acme.inside():
        SlaPolicy.objects.filter(name="Response").update(name="Updates on major incidents")
        calendar = SlaCalendar.objects.get(name="24x7")
    change_calendar(
        actor=acme.actor("owner"),
        calendar_id=calendar.pk,
        hours={"timezone": calendar.time_zone, "weekly": {"mon": [["08:00", "20:00"]]}},
    )
    call_command("provision_tenants")
    with acme.inside():
        policy = SlaPolicy.objects.get(metric="cadence")
        terms = SlaPolicyVersion.objects.get(policy=policy).terms
        hours = SlaCalendarVersion.objects.get(calendar_id=terms["calendar"]).hours
        assert SlaPolicy.objects.get(name="Updates on major incidents").metric == "response"
    assert (policy.name, hours["always"]) == ("Updates on major incidents (2)", True)
    assert names(acme)[:2] == ["24x7", "Office hours"]


def test_computing_anew_by_a_command(acme: Desk, capsys: Any) -> None:
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    row = clocks(acme, ticket)["response"]
    with acme.inside():
        SlaClock.objects.filter(pk=row.pk).update(due_at=on(1, 12))
    with at(1, 10):
        call_command("sla_recompute", "--tenant", "acme")
        assert "Clocks written anew: 1, with another deadline: 1" in capsys.readouterr().out
        call_command("sla_recompute")
        assert "Clocks written anew: 0" in capsys.readouterr().out
    row = clocks(acme, ticket)["response"]
    assert (row.due_at, row.elapsed) == (on(1, 11), HOUR)
    with pytest.raises(CommandError, match="There is no service desk 'nowhere'"):
        call_command("sla_recompute", "--tenant", "nowhere")
