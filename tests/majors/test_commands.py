"""Leading a major incident: who may, what it owes and when, and how it ends."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from incidents.commands import (
    cancel_incident,
    change_major_roles,
    declare_major,
    merge_incident,
    open_incident,
    reopen_incident,
    resolve_incident,
    review_major,
    send_major_update,
    stand_down_major,
)
from incidents.commands.major import declare
from incidents.commands.major_review import Action
from incidents.models import MajorAction, MajorIncident, MajorRole, MajorState
from itsm.events.models import Event, EventText
from itsm.kernel import clock
from itsm.kernel.errors import Conflict, Forbidden, IllegalTransition, Invalid, NotFound
from itsm.sla.fires import tell_all
from itsm.sla.models import SlaClock, SlaPolicy
from itsm.sla.sweep import sweep
from itsm.tickets.commands import erase_person, retire_texts, set_parent, update_ticket, watch_ticket
from itsm.tickets.commands.configuration import update_settings
from itsm.tickets.models import Ticket
from itsm.tickets.timeline import timeline
from tests.factories import Desk
from tests.sla.desk import at, clocks, due_at, on

pytestmark = pytest.mark.django_db


def led(desk: Desk, by: str = "agent", **given: Any) -> Ticket:
    """A P1 incident that an agent leads as a major one."""
    ticket = desk.incident(impact=1, urgency=1)
    return declare_major(actor=desk.actor(by), ticket_id=ticket.pk, reason="All shops are offline.", **given)


def major(desk: Desk, ticket: Ticket) -> MajorIncident:
    with desk.inside():
        return MajorIncident.objects.get(pk=ticket.pk)


def is_major(desk: Desk, ticket: Ticket) -> bool:
    with desk.inside():
        return bool(Ticket.objects.values_list("is_major", flat=True).get(pk=ticket.pk))


def kinds(desk: Desk, ticket: Ticket) -> list[str]:
    with desk.inside():
        events = Event.objects.filter(ticket_id=ticket.pk, kind__startswith="incident.major").order_by("sequence")
        return list(events.values_list("kind", flat=True))


def resolve(desk: Desk, ticket: Ticket) -> None:
    resolve_incident(
        actor=desk.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="New switch."
    )


def test_declaring_names_who_leads_and_owes_news_in_half_an_hour(acme: Desk) -> None:
    with at(6, 22):
        ticket = led(acme, roles={"Communications lead": acme.people["manager"].pk})
    row = major(acme, ticket)
    assert (row.state, row.commander_id, row.declared_at) == ("declared", acme.people["agent"].pk, on(6, 22))
    assert (ticket.is_major, is_major(acme, ticket)) == (True, True)
    news = clocks(acme, ticket)["cadence"]
    assert (news.state, news.promise, news.due_at) == ("running", "30m", on(6, 22, 30)), "on a Saturday night too"
    assert kinds(acme, ticket) == ["incident.major_declared", "incident.major_role_changed"]
    with acme.inside():
        event = Event.objects.get(kind="incident.major_declared")
        assert (event.payload["because"], EventText.objects.get(event=event).text) == (
            "by_hand", "All shops are offline.",
        )  # fmt: skip
        assert [(r.name, r.person_id) for r in MajorRole.objects.all()] == [
            ("Communications lead", acme.people["manager"].pk)
        ]


def test_the_priority_may_be_raised_with_it(acme: Desk) -> None:
    ticket = acme.incident()
    declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="It spreads.", raise_priority=True)
    with acme.inside():
        assert Ticket.objects.get(pk=ticket.pk).priority == 1
    found = clocks(acme, ticket)
    assert (found["cadence"].promise, found["resolution"].promise) == ("30m", "4h")
    other = acme.incident()
    declare_major(actor=acme.actor("agent"), ticket_id=other.pk, reason="It stays small.")
    with acme.inside():
        assert Ticket.objects.get(pk=other.pk).priority == 5
    assert clocks(acme, other)["cadence"].promise == "1h"
    update_ticket(actor=acme.actor("agent"), ticket_id=other.pk, impact=1, urgency=1)
    assert clocks(acme, other)["cadence"].promise == "30m", "another priority, another cadence"


@pytest.mark.parametrize("who", ["requester", "admin", "auditor", "other_manager"])
def test_others_may_not_declare_and_nothing_happens(acme: Desk, who: str) -> None:
    ticket = acme.incident()
    with pytest.raises((Forbidden, NotFound)):
        declare_major(actor=acme.actor(who), ticket_id=ticket.pk, reason="x")
    assert (kinds(acme, ticket), is_major(acme, ticket), "cadence" in clocks(acme, ticket)) == ([], False, False)
    with acme.inside():
        assert not MajorIncident.objects.exists()


def test_bad_input_is_named_and_nothing_happens(acme: Desk) -> None:
    agent, ticket = acme.actor("agent"), acme.incident()
    requester = acme.people["requester"].pk
    for given, place, code in (
        ({"reason": " "}, "/reason", "required"),
        ({"commander_id": requester}, "/commander", "not_an_agent"),
        ({"commander_id": acme.tenant.pk}, "/commander", "unknown_reference"),
        ({"roles": {"": requester}}, "/roles", "required"),
        ({"roles": {"Lead": requester, "LEAD": requester}}, "/roles", "taken"),
        ({"roles": {"x" * 61: requester}}, "/roles", "too_long"),
        ({"roles": {"Lead": acme.tenant.pk}}, "/roles", "unknown_reference"),
        ({"roles": {str(n): requester for n in range(21)}}, "/roles", "too_many"),
        ({"stakeholder_ids": [acme.tenant.pk]}, "/stakeholders", "unknown_reference"),
    ):
        with pytest.raises(Invalid) as refused:
            declare_major(actor=agent, ticket_id=ticket.pk, **{"reason": "x", **given})
        assert [(p.pointer, p.code) for p in refused.value.problems] == [(place, code)]
    with pytest.raises(Conflict):
        declare_major(actor=agent, ticket_id=ticket.pk, reason="x", expected_version=99)
    assert (kinds(acme, ticket), is_major(acme, ticket)) == ([], False)


def test_strangers_to_a_restricted_team_have_nothing_to_do_with_its_major_incident(acme: Desk) -> None:
    hr, ticket = acme.actor("hr"), acme.incident("hr", team_id=acme.teams["hr"].pk)
    several: tuple[dict[str, Any], ...] = (
        {"commander_id": acme.people["agent"].pk},
        {"stakeholder_ids": [acme.people["owner"].pk]},
    )
    for given in several:
        with pytest.raises(Invalid, match="restricted"):
            declare_major(actor=hr, ticket_id=ticket.pk, reason="x", **given)
    with pytest.raises(NotFound):
        declare_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="x")
    declare_major(actor=hr, ticket_id=ticket.pk, reason="x", stakeholder_ids=[acme.people["hr"].pk])
    assert is_major(acme, ticket)


def test_only_open_incidents_and_only_once(acme: Desk) -> None:
    agent, ticket, done = acme.actor("agent"), led(acme), acme.incident()
    resolve(acme, done)
    for one in (ticket, done):
        with pytest.raises(IllegalTransition):
            declare_major(actor=agent, ticket_id=one.pk, reason="x")
    assert (kinds(acme, ticket), kinds(acme, done)) == (["incident.major_declared"], [])


def test_escalation_declares_without_a_person_and_leaves_one_that_is_led(acme: Desk) -> None:
    ticket = acme.incident()
    with acme.inside():
        cause = Event.objects.filter(ticket_id=ticket.pk).latest("sequence")
        declare(acme.system, ticket.pk, cause)
        declare(acme.system, ticket.pk, cause)
    assert (kinds(acme, ticket), major(acme, ticket).commander_id) == (["incident.major_declared"], None)
    with acme.inside():
        event = Event.objects.get(kind="incident.major_declared")
        assert (event.payload["because"], event.cause_id) == ("escalation", cause.pk)
    change_major_roles(actor=acme.actor("agent"), ticket_id=ticket.pk, commander_id=acme.people["owner"].pk)
    assert major(acme, ticket).commander_id == acme.people["owner"].pk


# --- News ------------------------------------------------------------------------------------------------------------


def fired(desk: Desk, ticket: Ticket) -> list[tuple[str, str]]:
    with desk.inside():
        events = Event.objects.filter(ticket_id=ticket.pk, kind__startswith="sla.", payload__metric="cadence")
        return [(e.kind, e.payload["threshold"]) for e in events.order_by("sequence")]


def pass_time(now: Any) -> None:
    sweep(now)
    with clock.at(now):
        tell_all(now=now)


def test_an_update_that_does_not_come_fires_and_one_that_comes_begins_anew(acme: Desk) -> None:
    with at(1, 10):
        silent, told = led(acme), led(acme)
    with at(1, 10, 14):
        send_major_update(actor=acme.actor("agent"), ticket_id=told.pk, body="We look at the router.")
    assert (clocks(acme, told)["cadence"].due_at, clocks(acme, told)["cadence"].cycle) == (on(1, 10, 44), 2)
    pass_time(on(1, 10, 31))
    assert fired(acme, silent)[-1] == ("sla.breached", "100%")
    assert fired(acme, told) == [("sla.threshold_reached", "50%")]
    with at(1, 10, 40):
        send_major_update(actor=acme.actor("agent"), ticket_id=silent.pk, body="At last.")
    with acme.inside():
        rows = SlaClock.objects.filter(ticket_id=silent.pk, metric="cadence").order_by("cycle")
        assert [(r.state, r.breached_at, r.due_at) for r in rows] == [
            ("missed", on(1, 10, 30), None),
            ("running", None, on(1, 11, 10)),
        ]
    pass_time(on(1, 10, 45))
    assert fired(acme, told)[-1] == ("sla.breached", "100%")


def test_waiting_pauses_no_news(acme: Desk) -> None:
    from incidents.commands import hold_incident

    with at(1, 10):
        ticket = led(acme)
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    assert (clocks(acme, ticket)["cadence"].state, due_at(acme, ticket)) == ("running", on(1, 10, 30))


@pytest.mark.parametrize("how", ["resolve", "stand_down", "cancel"])
def test_the_end_owes_no_news(acme: Desk, how: str) -> None:
    agent = acme.actor("agent")
    with at(1, 10):
        ticket = led(acme)
    with at(1, 10, 10):
        if how == "resolve":
            resolve(acme, ticket)
        elif how == "stand_down":
            stand_down_major(actor=agent, ticket_id=ticket.pk, reason="One shop only.")
        else:
            cancel_incident(actor=agent, ticket_id=ticket.pk, reason="A drill.")
    pass_time(on(2, 10))
    assert fired(acme, ticket) == []
    assert clocks(acme, ticket)["cadence"].state == ("met" if how == "resolve" else "canceled")
    assert is_major(acme, ticket) is (how == "resolve")
    with pytest.raises(IllegalTransition):
        send_major_update(actor=agent, ticket_id=ticket.pk, body="x")


def test_a_desk_without_a_cadence_leads_all_the_same(acme: Desk) -> None:
    with acme.inside():
        SlaPolicy.objects.filter(metric="cadence").update(is_active=False)
    ticket = led(acme)
    send_major_update(actor=acme.actor("agent"), ticket_id=ticket.pk, body="We look.")
    assert "cadence" not in clocks(acme, ticket)


def test_everybody_concerned_is_told_once_and_children_once_each(acme: Desk) -> None:
    agent, colleague = acme.actor("agent"), acme.people["colleague"].pk
    ticket = led(acme, stakeholder_ids=[acme.people["owner"].pk, colleague])
    watch_ticket(actor=agent, ticket_id=ticket.pk, person_id=colleague)
    child, gone = acme.incident("colleague"), acme.incident("hr")
    for one in (child, gone):
        set_parent(actor=agent, ticket_id=one.pk, parent_id=ticket.pk)
    cancel_incident(actor=acme.actor("hr"), ticket_id=gone.pk, reason="mine works")
    with acme.inside():
        before = Ticket.objects.get(pk=child.pk).version
    send_major_update(actor=agent, ticket_id=ticket.pk, body="The **router** is replaced.")
    with acme.inside():
        sent = Event.objects.get(kind="incident.major_update_sent")
        people = {acme.people[name].pk for name in ("requester", "owner", "colleague")}
        assert sent.payload["recipients"] == sorted(str(one) for one in people)
        assert kinds(acme, child) == ["incident.major_update_copied"]
        assert kinds(acme, gone) == []
        seen = timeline(acme.actor("colleague"), Ticket.objects.get(pk=child.pk))
        assert [entry.body for entry in seen if entry.kind == "incident.major_update_copied"] == [
            "The **router** is replaced."
        ]
        assert Ticket.objects.get(pk=child.pk).version == before, "whoever edits the child is not disturbed"
        public = [e.kind for e in timeline(acme.actor("requester"), Ticket.objects.get(pk=ticket.pk))]
    assert [kind for kind in public if "major" in kind] == ["incident.major_update_sent"]


def test_children_are_resolved_with_it(acme: Desk) -> None:
    ticket, child = led(acme), acme.incident("colleague")
    set_parent(actor=acme.actor("agent"), ticket_id=child.pk, parent_id=ticket.pk)
    resolve(acme, ticket)
    with acme.inside():
        assert Ticket.objects.get(pk=child.pk).state_category == "done"
    assert kinds(acme, child) == []


# --- Its end ---------------------------------------------------------------------------------------------------------


def test_the_review_is_due_five_business_days_after_resolving(acme: Desk) -> None:
    with at(5, 16):
        ticket = led(acme)
        resolve(acme, ticket)
    row = major(acme, ticket)
    assert (row.state, row.review_due_at) == ("review_due", on(12, 17)), "Friday afternoon to the Friday after"
    update_settings(actor=acme.actor("admin"), major_review_days=1)
    with at(5, 16):
        other = led(acme)
        resolve(acme, other)
    assert major(acme, other).review_due_at == on(8, 17)


def test_reopened_it_is_led_again(acme: Desk) -> None:
    with at(1, 10):
        ticket = led(acme)
        resolve(acme, ticket)
    with at(1, 12):
        reopen_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="Down again.")
    row, news = major(acme, ticket), clocks(acme, ticket)["cadence"]
    assert (row.state, row.review_due_at, row.ended_at) == ("declared", None, None)
    assert (news.state, news.cycle, news.due_at) == ("running", 2, on(1, 12, 30))


def _review(desk: Desk, who: str, ticket: Ticket, **given: Any) -> None:
    texts = {"went_well": "Quick.", "went_badly": "No spare.", "causes": "Old switch."}
    review_major(actor=desk.actor(who), ticket_id=ticket.pk, **{**texts, **given})


def test_the_commander_a_manager_or_the_owner_reviews_it(acme: Desk) -> None:
    tickets = {who: led(acme, commander_id=acme.people["agent"].pk) for who in ("agent", "manager", "owner")}
    for who, ticket in tickets.items():
        with pytest.raises(IllegalTransition):
            _review(acme, who, ticket)
        resolve(acme, ticket)
        for other in ("requester", "hr", "auditor", "admin"):
            with pytest.raises(Forbidden):
                _review(acme, other, ticket)
        assert major(acme, ticket).state == MajorState.REVIEW_DUE
        action = Action("Buy a spare switch", acme.people["hr"].pk, date(2100, 1, 1))
        _review(acme, who, ticket, actions=[action])
        assert (major(acme, ticket).state, is_major(acme, ticket)) == ("reviewed", True)
        with pytest.raises(IllegalTransition):
            _review(acme, who, ticket)
    with acme.inside():
        assert [(a.text, a.owner_id, a.position) for a in MajorAction.objects.filter(ticket_id=ticket.pk)] == [
            ("Buy a spare switch", acme.people["hr"].pk, 1)
        ]
        event = Event.objects.filter(kind="incident.major_reviewed").latest("recorded_at")
        assert {t.field: t.text for t in EventText.objects.filter(event=event)} == {
            "went_well": "Quick.", "went_badly": "No spare.", "causes": "Old switch.", "actions": "Buy a spare switch",
        }  # fmt: skip


def test_a_review_that_cannot_be_used_is_named(acme: Desk) -> None:
    ticket, hr = led(acme), acme.people["hr"].pk
    resolve(acme, ticket)
    for given, places in (
        ({"causes": "", "went_well": " "}, {"/causes", "/went_well"}),
        ({"actions": [Action("", hr, date(2100, 1, 1))]}, {"/actions"}),
        ({"actions": [Action("x", hr, date(2020, 1, 1))]}, {"/actions"}),
        ({"actions": [Action("x", acme.tenant.pk, date(2100, 1, 1))]}, {"/actions"}),
    ):
        with pytest.raises(Invalid) as refused:
            _review(acme, "agent", ticket, **given)
        assert {p.pointer for p in refused.value.problems} == places
    assert major(acme, ticket).state == MajorState.REVIEW_DUE
    with acme.inside():
        assert not MajorAction.objects.exists()


def test_stood_down_it_may_be_declared_again(acme: Desk) -> None:
    ticket = led(acme)
    with pytest.raises(Forbidden):
        stand_down_major(actor=acme.actor("requester"), ticket_id=ticket.pk, reason="x")
    with pytest.raises(Invalid):
        stand_down_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason=" ")
    stand_down_major(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="One shop only.")
    assert (major(acme, ticket).state, is_major(acme, ticket)) == ("stood_down", False)
    declare_major(actor=acme.actor("manager"), ticket_id=ticket.pk, reason="All shops after all.")
    row = major(acme, ticket)
    assert (row.state, row.commander_id, row.ended_at) == ("declared", acme.people["manager"].pk, None)
    assert clocks(acme, ticket)["cadence"].state == "running"


def test_a_major_incident_does_not_vanish_in_an_ordinary_one(acme: Desk) -> None:
    agent, ticket, other = acme.actor("agent"), led(acme, stakeholder_ids=[acme.people["owner"].pk]), acme.incident()
    with pytest.raises(Invalid) as refused:
        merge_incident(actor=agent, ticket_id=ticket.pk, into_id=other.pk)
    assert refused.value.problems[0].code == "not_major"
    assert (is_major(acme, ticket), clocks(acme, ticket)["cadence"].state) == (True, "running")
    declare_major(actor=agent, ticket_id=other.pk, reason="The same one.")
    merge_incident(actor=agent, ticket_id=ticket.pk, into_id=other.pk)
    assert (major(acme, ticket).state, is_major(acme, ticket)) == ("stood_down", False)
    assert clocks(acme, ticket)["cadence"].state == "canceled"
    send_major_update(actor=agent, ticket_id=other.pk, body="Both are one.")
    with acme.inside():
        sent = Event.objects.get(kind="incident.major_update_sent")
        assert str(acme.people["owner"].pk) in sent.payload["recipients"]


# --- Texts -----------------------------------------------------------------------------------------------------------


def test_erasing_the_author_takes_updates_copies_and_reviews(acme: Desk) -> None:
    ticket, child = led(acme, roles={"Herald of Ann": acme.people["owner"].pk}), acme.incident("colleague")
    set_parent(actor=acme.actor("agent"), ticket_id=child.pk, parent_id=ticket.pk)
    send_major_update(actor=acme.actor("agent"), ticket_id=ticket.pk, body="secret words")
    resolve(acme, ticket)
    _review(acme, "agent", ticket, actions=[Action("secret action", acme.people["hr"].pk, date(2100, 1, 1))])
    erase_person(actor=acme.actor("admin"), person_id=acme.people["agent"].pk)
    with acme.inside():
        assert not EventText.objects.filter(event__kind__startswith="incident.major").exists()
        assert (MajorAction.objects.get().text, MajorRole.objects.count()) == ("", 0)


def test_erasing_the_requester_takes_them_too(acme: Desk) -> None:
    ticket, child = led(acme), acme.incident("colleague")
    set_parent(actor=acme.actor("agent"), ticket_id=child.pk, parent_id=ticket.pk)
    send_major_update(actor=acme.actor("agent"), ticket_id=ticket.pk, body="about the requester")
    erase_person(actor=acme.actor("admin"), person_id=acme.people["requester"].pk)
    with acme.inside():
        assert not EventText.objects.filter(event__kind__startswith="incident.major").exists()
        assert Ticket.objects.get(pk=child.pk).title == "The printer is on fire"


def test_retention_takes_the_review(acme: Desk) -> None:
    update_settings(actor=acme.actor("admin"), retention_days=1)
    with at(1, 10):
        ticket = led(acme)
        resolve(acme, ticket)
        _review(acme, "agent", ticket, actions=[Action("secret", acme.people["hr"].pk, date(2100, 1, 1))])
        from incidents.commands import close_incident

        close_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
    with at(5, 10):
        assert retire_texts(actor=acme.system) == 1
    with acme.inside():
        assert MajorAction.objects.get().text == ""
        assert not EventText.objects.filter(event__ticket_id=ticket.pk).exists()


def test_another_tenant_sees_none_of_it(acme: Desk, globex: Desk) -> None:
    ticket = led(acme)
    stranger = globex.actor("agent")
    for act in (
        lambda: declare_major(actor=stranger, ticket_id=ticket.pk, reason="x"),
        lambda: send_major_update(actor=stranger, ticket_id=ticket.pk, body="x"),
        lambda: stand_down_major(actor=stranger, ticket_id=ticket.pk, reason="x"),
        lambda: review_major(actor=stranger, ticket_id=ticket.pk, went_well="x", went_badly="x", causes="x"),
    ):
        with pytest.raises(NotFound):
            act()
    assert kinds(acme, ticket) == ["incident.major_declared"]
    assert open_incident(actor=stranger, title="x").is_major is False
