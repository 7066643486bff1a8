"""What starts a policy: clocks, events, hands and other policies; once each, never in circles, never for history."""

from __future__ import annotations

from typing import Any

import pytest

from incidents.commands import declare_major, hold_incident, reopen_incident, resolve_incident
from itsm.escalation.commands import update_policy
from itsm.escalation.models import EscalationPolicy, EscalationPolicyVersion, EscalationRun
from itsm.escalation.provision import NAME
from itsm.escalation.starts import start_for_event
from itsm.events.models import Event
from itsm.events.relay import relay
from itsm.events.write import MAX_DEPTH, unit_of_work
from itsm.kernel.errors import Invalid
from itsm.sla.fires import tell_all
from itsm.sla.sweep import sweep
from itsm.tickets.commands import set_parent, update_ticket
from itsm.tickets.fetch import lock_ticket
from itsm.tickets.models import Ticket
from tests.escalation.chains import MANAGERS, TEAM, policy, run_of, start, story, tick, told
from tests.factories import Desk
from tests.sla.desk import at, on

pytestmark = pytest.mark.django_db
P1 = {"priority": [1]}


def runs(desk: Desk) -> list[tuple[str, str]]:
    """(policy, state) of all runs, oldest first."""
    with desk.inside():
        return list(EscalationRun.objects.order_by("started_at", "pk").values_list("policy__name", "state"))


def critical(desk: Desk) -> Ticket:
    with at(1, 10):
        return desk.incident(by="manager", impact=1, urgency=1, team_id=desk.teams["network"].pk)


def heard(desk: Desk) -> None:
    """What the outbox brings."""
    with desk.inside():
        relay(desk.tenant.pk)


def test_a_new_tenants_critical_incidents_call_the_team_then_the_managers(acme: Desk) -> None:
    ticket = critical(acme)
    # Response: 15 minutes, of which 75% are over at 10:11:15; ten seconds later the team is told.
    assert tick(on(1, 10, 11, 15)) == 0
    assert run_of(acme, ticket).next_due_at == on(1, 10, 11, 25)
    assert [tick(on(1, 10, 11, 25)), tick(on(1, 10, 26, 25))] == [1, 1]
    assert told(acme, ticket) == [(0, 0, ["agent"]), (0, 1, ["manager"])]
    assert runs(acme) == [(NAME, "running")], "the breach meanwhile starts no second one"
    with acme.inside():
        started = Event.objects.get(kind="escalation.started")
        assert (started.payload["trigger"], started.payload["metric"], started.payload["threshold"]) == (
            "clock", "response", "75%",
        )  # fmt: skip
        assert Event.objects.get(kind="sla.threshold_reached", pk=str(started.cause_id)).payload["metric"] == "response"


def test_what_is_not_critical_calls_nobody(acme: Desk) -> None:
    with at(1, 10):
        acme.incident(impact=1, urgency=2)
    assert [tick(on(day, 12)) for day in (1, 2, 5)] == [0, 0, 0]
    assert runs(acme) == []


def test_a_clock_that_waits_starts_nothing(acme: Desk) -> None:
    """Pain 3 and 8: neither while it waits nor by what had been fired just before."""
    ticket = critical(acme)
    sweep(on(1, 10, 12))
    with at(1, 10, 13):
        hold_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, hold_reason="awaiting_caller", comment="?")
        assert tell_all(now=on(1, 10, 13)) > 0
    assert [tick(on(day, 0)) for day in (2, 9, 360)] == [0, 0, 0]
    assert runs(acme) == []


def test_after_an_outage_a_threshold_that_was_overtaken_counts(acme: Desk) -> None:
    policy(acme, ("0s", TEAM), triggers=[{"sla": {"metric": "resolution", "threshold": "50%"}, "when": P1}])
    ticket = critical(acme)
    assert (tick(on(1, 20)), story(acme, ticket)) == (1, ["started", "step_taken"])


def test_a_breach_starts_again_what_had_ended(acme: Desk) -> None:
    thresholds = ("75%", "breached")
    policy(acme, ("0s", TEAM), loop_gap="1m",
           triggers=[{"sla": {"metric": "resolution", "threshold": name}} for name in thresholds])  # fmt: skip
    ticket = critical(acme)
    # 75% of four hours: 13:00; exhausted at 13:01; breached at 14:00.
    assert [tick(on(1, 13)), tick(on(1, 13, 1)), tick(on(1, 14))] == [1, 1, 1]
    assert (len(runs(acme)), told(acme, ticket)) == (2, [(0, 0, ["agent"]), (0, 1, []), (0, 0, ["agent"])])


def test_an_event_starts_a_policy_once_however_often_it_is_delivered(acme: Desk) -> None:
    policy(acme, ("0s", MANAGERS), triggers=[{"event": "incident.opened", "when": P1}])
    with at(1, 10):
        heard(acme)
        acme.incident(impact=3, urgency=3)
        ticket = critical(acme)
        heard(acme)
        assert (runs(acme), run_of(acme, ticket).trigger_key[:6]) == ([("Chain", "running")], "event:")
        with acme.inside():
            opened = Event.objects.get(ticket_id=ticket.pk, kind="incident.opened")
            EscalationRun.objects.update(state="exhausted", ended_at=on(1, 10), next_due_at=None)
            start_for_event(opened)
    assert runs(acme) == [("Chain", "exhausted")]


def test_the_second_reopening_is_one_too_many(acme: Desk) -> None:
    policy(acme, ("0s", MANAGERS), triggers=[{"event": "incident.reopened", "times": 2}])
    with at(1, 10):
        ticket = acme.incident()
        for count in (1, 2):
            resolve_incident(
                actor=acme.actor("agent"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
            )
            reopen_incident(actor=acme.actor("agent"), ticket_id=ticket.pk, reason="Again")
            heard(acme)
            assert len(runs(acme)) == count - 1


def test_history_calls_nobody(acme: Desk) -> None:
    """A deadline that had passed when the ticket was imported is none of today's business."""
    policy(acme, ("0s", TEAM), triggers=[{"sla": {"metric": "resolution", "threshold": "breached"}}])
    with at(-60, 10):
        tickets = [acme.incident(impact=1, urgency=1) for _ in range(2)]
    with at(-60, 11), acme.inside(), unit_of_work(acme.system) as work:
        work.emit("incident.imported", lock_ticket(acme.system, tickets[0].pk), state=[1, 1], source={})
    tick(on(-59, 11))
    assert (story(acme, tickets[0]), story(acme, tickets[1])) == ([], ["started", "step_taken"])


def test_policies_that_would_start_each_other_are_refused(acme: Desk) -> None:
    """Pain 14."""
    manager = acme.actor("manager")
    first = policy(acme, ("0s", TEAM), name="First")
    second = policy(acme, ("0s", TEAM), name="Second", on_exhausted=[_leads_to(first)])
    third = policy(acme, ("0s", TEAM, _leads_to(second)), name="Third")
    for chain, target in ((first, third), (first, first), (first, second)):
        terms = {"steps": [{"do": [TEAM]}], "on_exhausted": [_leads_to(target)]}
        with pytest.raises(Invalid) as caught:
            update_policy(actor=manager, policy_id=chain.pk, terms=terms)
        (problem,) = caught.value.problems
        assert (problem.pointer, problem.code) == ("/terms/on_exhausted/0/policy", "policy_loop")
    with acme.inside():
        versions = EscalationPolicyVersion.objects.filter(policy_id=first.pk)
        assert list(versions.values_list("version", flat=True)) == [1]


def _leads_to(chain: EscalationPolicy) -> dict[str, Any]:
    return {"action": "start_policy", "policy": str(chain.pk)}


def test_a_policy_hands_over_to_the_next(acme: Desk) -> None:
    second = policy(acme, ("0s", MANAGERS), name="Second")
    first = policy(acme, ("0s", TEAM), name="First", loop_gap="5m", on_exhausted=[_leads_to(second)])
    with at(1, 10):
        ticket = acme.incident(by="manager", team_id=acme.teams["network"].pk)
        start(acme, ticket, first)
    assert [tick(on(1, 10)), tick(on(1, 10, 5)), tick(on(1, 10, 5))] == [1, 1, 1]
    assert told(acme, ticket) == [(0, 0, ["agent"]), (0, 1, []), (0, 0, ["manager"])]
    with acme.inside():
        events = {event.pk: event for event in Event.objects.filter(ticket_id=ticket.pk)}
        one, two = (e for e in sorted(events.values(), key=lambda e: e.sequence) if e.kind == "escalation.started")
        assert (two.cause_id, two.payload["trigger"]) == (one.pk, "policy")


def test_what_a_policy_changes_does_not_start_it_again(acme: Desk) -> None:
    """Pain 14: two policies that raise what the other listens to come to an end by themselves."""
    raising = {"action": "raise_priority", "by": 1}
    heard_on = [{"event": "ticket.updated"}]
    for name in ("Ping", "Pong"):
        policy(acme, ("0s", raising), name=name, triggers=heard_on, loop_gap="1s")
    with at(1, 10):
        ticket = acme.incident(impact=3, urgency=3)
        heard(acme)
        update_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, title="Changed by a person")
    for second in range(0, 60, 2):
        with at(1, 10, 0, second):
            heard(acme)
        tick(on(1, 10, 0, second))
    names = [name for name, _ in runs(acme)]
    assert (sorted(names), {state for _, state in runs(acme)}) == (["Ping", "Pong"], {"exhausted"})
    with acme.inside():
        assert Ticket.objects.get(pk=ticket.pk).priority == 3, "raised once by each"


def test_a_chain_that_is_too_deep_ends_before_the_escalation(acme: Desk) -> None:
    policy(acme, ("0s", TEAM), triggers=[{"event": "incident.opened"}])
    with at(1, 10):
        ticket = acme.incident()
        with acme.inside():
            opened = Event.objects.get(ticket_id=ticket.pk, kind="incident.opened")
            opened.depth = MAX_DEPTH - 1
            start_for_event(opened)
            opened.depth = MAX_DEPTH
            start_for_event(opened)
            assert Event.objects.filter(kind="reaction.stopped").count() == 1
    assert runs(acme) == []


def test_another_tenants_policies_are_not_asked(acme: Desk, globex: Desk) -> None:
    policy(globex, ("0s", MANAGERS), triggers=[{"event": "incident.opened"}])
    policy(acme, ("0s", MANAGERS))
    with at(1, 10):
        acme.incident(impact=1, urgency=1)
        heard(acme)
    assert (runs(acme), runs(globex)) == ([], [])


def test_a_ticket_below_a_major_incident_calls_nobody_by_itself(acme: Desk) -> None:
    before, after, late = critical(acme), critical(acme), critical(acme)
    major = acme.incident(by="manager", team_id=acme.teams["apps"].pk)
    chain = policy(acme, ("5m", TEAM))
    for ticket in (before, after, late):
        start(acme, ticket, chain)
    set_parent(actor=acme.actor("manager"), ticket_id=before.pk, parent_id=major.pk)
    assert story(acme, before) == ["started"], "it is none yet"
    declare_major(actor=acme.actor("manager"), ticket_id=major.pk, reason="It spreads")
    set_parent(actor=acme.actor("manager"), ticket_id=after.pk, parent_id=major.pk)
    for ticket in (before, after):
        assert (story(acme, ticket), run_of(acme, ticket).reason) == (["started", "cancelled"], "major")
    assert run_of(acme, late).state == "running"
    breached = {"sla": {"metric": "resolution", "threshold": "breached"}}
    policy(acme, ("0s", TEAM), name="Breaches", triggers=[breached])
    with at(1, 12):
        assert start(acme, after, chain).state == "running", "whoever asks for it by hand gets it"
    tick(on(1, 15))
    assert [name for name, _ in runs(acme)].count("Breaches") == 1, "the one that is nobody's child"
    assert story(acme, before) == ["started", "cancelled"]
