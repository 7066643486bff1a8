"""Policies by their commands: what is refused, what a new version means to open clocks, what happens to those of one that ends."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from incidents.commands import hold_incident, merge_incident, resume_incident
from itsm.events.models import Event
from itsm.kernel.errors import Conflict, Forbidden, Invalid
from itsm.sla.aftermath import catch_up, follow_change
from itsm.sla.commands import change_policy, create_policy, order_policies, update_policy
from itsm.sla.models import SlaCalendar, SlaClock, SlaClockEvent, SlaPolicy, SlaPolicyVersion
from itsm.sla.sweep import sweep
from itsm.tickets.commands import update_ticket
from itsm.tickets.commands.configuration import create_category, create_service, update_service
from tests.factories import Desk
from tests.sla.desk import HOUR, at, clocks, due_at, on

pytestmark = pytest.mark.django_db


def terms(desk: Desk, *targets: Any, calendar: str = "Office hours", **more: Any) -> dict[str, Any]:
    with desk.inside():
        pk = str(SlaCalendar.objects.get(name=calendar).pk)
    return {"calendar": pk, "targets": list(targets) or [{"target": "4h"}], **more}


def by_name(desk: Desk, name: str) -> SlaPolicy:
    with desk.inside():
        return SlaPolicy.objects.get(name=name)


def codes(refused: Any) -> set[tuple[str, str]]:
    return {(problem.pointer, problem.code) for problem in refused.value.problems}


FIRST = {"when": {"priority": [1]}, "target": "1h"}


def test_a_new_policy_is_asked_first_and_holds_from_now_on(acme: Desk) -> None:
    with at(1, 9):
        before = acme.incident(impact=1, urgency=1)
        made = create_policy(actor=acme.actor("owner"), name="Fast", metric="resolution", terms=terms(acme, FIRST))
        after = acme.incident(impact=1, urgency=1)
    assert (clocks(acme, before)["resolution"].promise, clocks(acme, after)["resolution"].promise) == ("4h", "1h")
    assert clocks(acme, after)["resolution"].policy_id == made.pk
    with acme.inside():
        found = SlaPolicy.objects.filter(metric="resolution").order_by("position")
        assert [(one.name, one.position) for one in found] == [("Fast", 1), ("Resolution", 2)]
        assert Event.objects.get(kind="sla.policy_created").payload == {
            "policy": str(made.pk), "metric": "resolution", "version": 1, "apply": False,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("targets", "more", "place", "code"),
    [
        ([{"target": "0s"}], {}, "/terms/targets/0/target", "out_of_range"),
        ([{"target": "-4h"}], {}, "/terms/targets/0/target", "bad_target"),
        ([{"target": "100000h"}], {}, "/terms/targets/0/target", "out_of_range"),
        ([{"target": "3661bd"}], {}, "/terms/targets/0/target", "out_of_range"),
        ([], {"targets": []}, "/terms/targets", "required"),
        ([FIRST], {"applies": {"priority": [2, 3]}}, "/terms/applies", "never_true"),
        ([FIRST, {"target": "2h"}], {"applies": {"priority": [2]}}, "/terms/targets/0/when", "never_true"),
        ([{"when": {"kind": ["chocolate"]}, "target": "1h"}], {}, "/terms/targets/0/when/kind/0", "unknown_kind"),
        ([{"when": {"service": [str(uuid4())[:-4] + "0000"]}, "target": "1h"}], {}, "/terms/targets/0/when/service/0",
         "unknown_reference"),
        ([FIRST], {"calendar": "0190c2a1-0000-7c11-8d2a-5b1f0a9c3e44"}, "/terms/calendar", "unknown_reference"),
        ([{**FIRST, "calendar": "0190c2a1-0000-7c11-8d2a-5b1f0a9c3e44"}], {}, "/terms/targets/0/calendar",
         "unknown_reference"),
        ([FIRST], {"calendar": 7}, "/terms/calendar", "not_an_id"),
        ([FIRST], {"thresholds": ["0%"]}, "/terms/thresholds/0", "bad_threshold"),
        ([{"target": "2h"}], {}, "/terms", "never_reached"),
    ],
    ids=["zero", "negative", "ten-years", "ten-years-of-days", "none", "contradiction", "dead-target", "no-kind",
         "no-service", "no-calendar", "no-row-calendar", "no-id", "no-threshold", "hides-all-others"],
)  # fmt: skip
def test_terms_that_cannot_hold(acme: Desk, targets: list[Any], more: dict[str, Any], place: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        create_policy(
            actor=acme.actor("admin"), name="New", metric="resolution", terms={**terms(acme, *targets), **more}
        )
    assert (place, code) in codes(refused)
    with acme.inside():
        assert not SlaPolicy.objects.filter(name="New").exists()


def test_another_tenants_and_inactive_ones_are_no_references(acme: Desk, globex: Desk) -> None:
    theirs = create_service(actor=globex.system, name="Theirs")
    ours = create_service(actor=acme.system, name="Ours")
    update_service(actor=acme.system, service_id=ours.pk, active=False)
    for service in (theirs, ours):
        narrow = terms(acme, applies={"service": [str(service.pk)]})
        with pytest.raises(Invalid) as refused:
            create_policy(actor=acme.actor("owner"), name="New", metric="response", terms=narrow)
        assert codes(refused) == {("/terms/applies/service/0", "unknown_reference")}
    foreign = terms(globex, FIRST)
    with pytest.raises(Invalid) as refused:
        create_policy(actor=acme.actor("owner"), name="New", metric="response", terms=foreign)
    assert codes(refused) == {("/terms/calendar", "unknown_reference")}


def test_a_policy_that_is_hidden_is_refused_and_names_the_other(acme: Desk) -> None:
    owner = acme.actor("owner")
    fast = create_policy(actor=owner, name="Fast", metric="resolution", terms=terms(acme, FIRST))
    with pytest.raises(Invalid) as refused:
        order_policies(actor=owner, metric="resolution", policy_ids=[by_name(acme, "Resolution").pk, fast.pk])
    assert codes(refused) == {("/policies", "never_reached")}
    assert "Fast" in refused.value.detail
    with pytest.raises(Invalid) as refused:
        order_policies(actor=owner, metric="resolution", policy_ids=[fast.pk])
    assert codes(refused) == {("/policies", "not_all")}
    with pytest.raises(Invalid) as refused:
        change_policy(actor=owner, policy_id=fast.pk, terms=terms(acme, {"target": "4h"}))
    assert "“Resolution”" in refused.value.detail
    parent = create_category(actor=acme.system, name="Hardware")
    child = create_category(actor=acme.system, name="Printer", parent_id=parent.pk)
    both = terms(acme, {"when": {"category": [str(child.pk)]}, "target": "1h"}, applies={"category": [str(parent.pk)]})
    create_policy(actor=owner, name="Printers", metric="resolution", terms=both)
    with at(1, 9):
        ticket = acme.incident(category_id=child.pk)
    assert clocks(acme, ticket)["resolution"].promise == "1h", "a category has those above it, too"


def test_who_may(acme: Desk) -> None:
    for who in ("agent", "manager", "auditor", "requester"):
        with pytest.raises(Forbidden):
            create_policy(actor=acme.actor(who), name="New", metric="response", terms=terms(acme, FIRST))
    with acme.inside():
        assert SlaPolicy.objects.count() == 3


def test_a_new_version_leaves_open_clocks_alone_unless_it_is_applied(acme: Desk) -> None:
    owner, policy = acme.actor("owner"), by_name(acme, "Resolution")
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    with at(1, 10):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
    with at(1, 13):
        resume_incident(actor=acme.actor("agent"), ticket_id=ticket.pk)
        change_policy(actor=owner, policy_id=policy.pk, terms=terms(acme, {"target": "6h"}))
    assert (clocks(acme, ticket)["resolution"].promise, due_at(acme, ticket)) == ("24h", on(4, 12))
    with at(1, 14):
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, impact=2, urgency=3)
    assert clocks(acme, ticket)["resolution"].promise == "6h", "a retargeted one goes by what holds now"
    with at(1, 14):
        second = acme.incident(impact=2, urgency=2)
        change_policy(actor=owner, policy_id=policy.pk, terms=terms(acme, {"target": "8h"}), apply=True)
    row = clocks(acme, ticket)["resolution"]
    assert (row.promise, row.due_at, row.elapsed) == ("8h", on(2, 12), 2 * HOUR), "opened, 8 h, and 3 h of waiting"
    assert clocks(acme, second)["resolution"].due_at == on(2, 14)
    with acme.inside():
        told = Event.objects.filter(kind="sla.retargeted", ticket_id=ticket.pk).order_by("sequence").last()
        assert told is not None
        assert (told.payload["promise"], told.payload["because"]) == (["6h", "8h"], ["policy"])
        said = Event.objects.filter(kind="sla.policy_changed").order_by("pk").last()
        assert said is not None
        assert (said.payload["version"], said.payload["clocks"], said.payload["apply"]) == (3, 2, True)
        generation = row.generation
        follow_change(said)
    assert clocks(acme, ticket)["resolution"].generation == generation, "asked again, it answers the same"


def test_a_policy_out_of_use_lets_go_of_its_clocks(acme: Desk) -> None:
    """Pain 12: the clock is gone, so is the date on the ticket, and nothing fires later."""
    owner = acme.actor("owner")
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    for name in ("Response", "Resolution"):
        with at(1, 10):
            update_policy(actor=owner, policy_id=by_name(acme, name).pk, active=False)
    assert {row.state for row in clocks(acme, ticket).values()} == {"canceled"}
    assert due_at(acme, ticket) is None
    assert sweep(on(30, 0)).fires == 0
    with acme.inside():
        reasons = SlaClockEvent.objects.filter(operation="cancel").values_list("reason", flat=True)
        assert set(reasons) == {"withdrawn"}
    with at(1, 11):
        update_policy(actor=owner, policy_id=by_name(acme, "Resolution").pk, active=True)
        assert due_at(acme, ticket) is None, "only what starts or is retargeted"
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, impact=2, urgency=1)
    row = clocks(acme, ticket)["resolution"]
    assert (row.cycle, row.promise, row.started_at) == (2, "8h", on(1, 9))


def test_merged_tickets_lose_theirs(acme: Desk) -> None:
    """Pain 12, the other half."""
    with at(1, 9):
        ticket, into = acme.incident(impact=1, urgency=1), acme.incident()
        merge_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, into_id=into.pk)
        assert due_at(acme, ticket) is None
    sweep(on(2, 9))
    with acme.inside():
        assert not Event.objects.filter(ticket_id=ticket.pk, kind__startswith="sla.breached").exists()


def test_the_next_policy_takes_over(acme: Desk) -> None:
    owner = acme.actor("owner")
    kept = terms(acme, FIRST, unmatched="keep")
    with at(1, 9):
        fast = create_policy(actor=owner, name="Fast", metric="resolution", terms=kept)
        ticket = acme.incident(impact=1, urgency=1)
    assert clocks(acme, ticket)["resolution"].promise == "1h"
    with at(1, 9, 30):
        update_policy(actor=owner, policy_id=fast.pk, active=False)
    row = clocks(acme, ticket)["resolution"]
    assert (row.promise, row.due_at, row.cycle) == ("4h", on(1, 13), 1)


def test_a_policy_that_comes_back_may_ask_open_clocks_at_once(acme: Desk) -> None:
    owner = acme.actor("owner")
    with at(1, 9):
        fast = create_policy(actor=owner, name="Fast", metric="resolution", terms=terms(acme, FIRST))
        ticket = acme.incident(impact=1, urgency=1)
        update_policy(actor=owner, policy_id=fast.pk, active=False)
        update_policy(actor=owner, policy_id=fast.pk, active=True)
        assert clocks(acme, ticket)["resolution"].promise == "4h", "only what starts or is retargeted"
        update_policy(actor=owner, policy_id=fast.pk, active=True, apply=True)
        assert clocks(acme, ticket)["resolution"].promise == "4h", "it was in use already"
        update_policy(actor=owner, policy_id=fast.pk, active=False)
        update_policy(actor=owner, policy_id=fast.pk, active=True, apply=True)
    assert clocks(acme, ticket)["resolution"].promise == "1h"
    with acme.inside():
        said = [one.payload["apply"] for one in Event.objects.filter(kind="sla.policy_changed").order_by("pk")]
    assert said == [False, False, False, True], "what is left after the first moment follows by the event"
    for active in ({}, {"active": False}):
        with pytest.raises(Invalid) as refused:
            update_policy(actor=owner, policy_id=fast.pk, name="Other", apply=True, **active)
        assert codes(refused) == {("/apply", "only_with_activation")}
    assert by_name(acme, "Fast").is_active


def test_what_was_interrupted_is_caught_up(acme: Desk) -> None:
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2)
    with acme.inside():
        SlaPolicy.objects.filter(name="Resolution").update(is_active=False)
        assert SlaClock.objects.filter(state="running").count() == 2
    with at(1, 10):
        assert catch_up() == 1
        assert catch_up() == 0
    assert {m: row.state for m, row in clocks(acme, ticket).items()} == {
        "response": "running",
        "resolution": "canceled",
    }


def test_setting_the_category_later_finds_the_promise(acme: Desk) -> None:
    """Pain 13: with the reason in the timeline."""
    category = create_category(actor=acme.system, name="Payroll")
    narrow = terms(acme, {"target": "2h"}, applies={"category": [str(category.pk)]})
    create_policy(actor=acme.actor("owner"), name="Payroll", metric="resolution", terms=narrow)
    with at(1, 9):
        ticket = acme.incident(impact=2, urgency=2, channel="email")
    with at(1, 9, 30):
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, category_id=category.pk)
    row = clocks(acme, ticket)["resolution"]
    assert (row.promise, row.due_at) == ("2h", on(1, 11))
    with acme.inside():
        told = Event.objects.get(kind="sla.retargeted", ticket_id=ticket.pk).payload
        assert (told["promise"], told["because"]) == (["24h", "2h"], ["category"])


def test_renaming_and_stale_edits(acme: Desk) -> None:
    owner, policy = acme.actor("owner"), by_name(acme, "Response")
    update_policy(actor=owner, policy_id=policy.pk, name="Answer", expected_version=1)
    with pytest.raises(Conflict):
        change_policy(actor=owner, policy_id=policy.pk, terms=terms(acme), expected_version=1)
    with pytest.raises(Invalid):
        update_policy(actor=owner, policy_id=policy.pk, name="Resolution")
    with acme.inside():
        assert SlaPolicyVersion.objects.filter(policy=policy.pk).count() == 1
        policy.refresh_from_db()
        assert (policy.name, policy.revision) == ("Answer", 2)
