"""When a message waits: quiet hours in the person's zone, digests, what is late, and the cap on one ticket's mails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from incidents.commands import resolve_incident
from itsm.access.commands import update_person
from itsm.events.models import Event
from itsm.events.relay import relay
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden, Invalid
from itsm.notify import topics
from itsm.notify.commands.preferences import update_preferences
from itsm.notify.models import Notification, Preference, Urgency
from itsm.notify.sending import send_due
from itsm.notify.wishes import Wishes
from itsm.tickets.commands import comment_on_ticket
from tests.factories import Desk
from tests.notify.conftest import NOON, ledger

Deliver = Callable[[], list[Any]]


@pytest.mark.parametrize(
    ("start", "end", "now", "until"),
    [
        ("22:00", "06:00", "2026-06-10T20:30+00:00", "2026-06-11T04:00+00:00"),  # 22:30 in Berlin, over midnight
        ("22:00", "06:00", "2026-06-11T03:59+00:00", "2026-06-11T04:00+00:00"),
        ("22:00", "06:00", "2026-06-11T04:00+00:00", None),  # the end is no longer quiet
        ("22:00", "06:00", "2026-06-10T19:59+00:00", None),
        ("12:00", "13:00", "2026-06-10T10:00+00:00", "2026-06-10T11:00+00:00"),  # the beginning is
        ("22:00", "06:00", "2026-03-28T22:00+00:00", "2026-03-29T04:00+00:00"),  # the clocks go forward: 7 hours
        ("22:00", "06:00", "2026-10-24T21:00+00:00", "2026-10-25T05:00+00:00"),  # and back
    ],
)
def test_quiet_hours(start: str, end: str, now: str, until: str | None) -> None:
    wishes = Wishes(quiet_start=time.fromisoformat(start), quiet_end=time.fromisoformat(end))
    expected = datetime.fromisoformat(until) if until else None
    assert wishes.quiet_until(datetime.fromisoformat(now), "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("digest", "now", "leaves"),
    [
        ("hourly", "2026-06-10T10:00+00:00", "2026-06-10T11:00+00:00"),
        ("hourly", "2026-06-10T10:59:59+00:00", "2026-06-10T11:00+00:00"),
        ("daily", "2026-06-10T05:59+00:00", "2026-06-10T06:00+00:00"),  # 08:00 in Berlin
        ("daily", "2026-06-10T06:00+00:00", "2026-06-11T06:00+00:00"),
        ("daily", "2026-10-24T12:00+00:00", "2026-10-25T07:00+00:00"),  # the clocks go back in between
    ],
)
def test_next_digest(digest: str, now: str, leaves: str) -> None:
    wishes = Wishes(digest=digest, digest_at=time(8, 0))
    assert wishes.next_digest(datetime.fromisoformat(now), "Europe/Berlin") == datetime.fromisoformat(leaves)


def test_what_comes_in_quiet_hours_leaves_as_one_mail_at_their_end(acme: Desk, deliver: Deliver) -> None:
    update_person(actor=acme.actor("requester"), person_id=acme.people["requester"].pk, time_zone="Europe/Berlin")
    update_preferences(actor=acme.actor("requester"), quiet_start=time(20), quiet_end=time(7))
    night = datetime(2026, 6, 10, 20, 0, tzinfo=UTC)  # 22:00 in Berlin
    with clock.at(night):
        ticket = acme.incident()
        for word in ("One", "Two"):
            comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body=word)
        assert deliver() == []
        assert ledger(acme) == [("requester", "held", "quiet_hours")] * 2
    with clock.at(night + timedelta(hours=8, minutes=59)):
        assert deliver() == []
    with clock.at(night + timedelta(hours=9)):
        [mail] = deliver()
        assert mail.subject == "Acme: 2 notifications"
        assert mail.body.index("One") < mail.body.index("Two")
        assert [status for _, status, _ in ledger(acme)] == ["sent"] * 3
        assert deliver() == []


@pytest.mark.parametrize("allowed", [True, False])
def test_a_page_passes_quiet_hours_only_if_the_person_allows(
    acme: Desk, deliver: Deliver, registry: dict[str, Any], allowed: bool
) -> None:
    requester = acme.people["requester"].pk
    topics.register(topics.Topic("page", "Paged", ("incident.opened",), lambda _e: [requester], Urgency.PAGE))
    update_preferences(actor=acme.actor("requester"), quiet_start=time(10), quiet_end=time(14), pages_in_quiet=allowed)
    with clock.at(NOON):
        acme.incident(by="agent", requester_id=requester)
        assert len(deliver()) == (1 if allowed else 0)
        assert ledger(acme) == [("requester", "sent", "") if allowed else ("requester", "held", "quiet_hours")]


def test_a_digest_is_one_mail_and_what_is_over_is_left_out(
    acme: Desk, deliver: Deliver, registry: dict[str, Any]
) -> None:
    over: list[str] = []
    topics.register(
        topics.Topic(
            "watch",
            "Watched",
            ("incident.opened",),
            lambda _e: [acme.people["agent"].pk],
            over=lambda _e: "".join(over),
        )
    )
    update_preferences(actor=acme.actor("agent"), digest="hourly")
    with clock.at(NOON + timedelta(minutes=10)):
        acme.incident(title="The first")
        assert deliver() == []
        assert ledger(acme) == [("agent", "held", "digest")]
        over.append("acknowledged")
    with clock.at(NOON + timedelta(hours=1)):
        assert deliver() == []
        assert ledger(acme) == [("agent", "dropped", "acknowledged"), ("agent", "dropped", "nothing_left")]


def test_late_events_are_caught_up_with_in_one_mail(acme: Desk, deliver: Deliver) -> None:
    with clock.at(NOON):
        ticket = acme.incident()
        for word in ("One", "Two", "Three"):
            comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body=word)
    with clock.at(NOON + timedelta(hours=2)):
        assert deliver() == []
        assert ledger(acme) == [("requester", "held", "late")] * 3
    with clock.at(NOON + timedelta(hours=2, minutes=5)):
        assert [mail.subject for mail in deliver()] == ["Acme: 3 notifications"]


def test_one_ticket_sends_one_person_ten_mails_an_hour(acme: Desk, deliver: Deliver) -> None:
    left = 0
    with clock.at(NOON):
        ticket = acme.incident()
    for number in range(13):
        with clock.at(NOON + timedelta(minutes=number)):
            comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body=f"Word {number}")
            left += len(deliver())
    assert left == 10
    assert ledger(acme)[10:] == [("requester", "held", "rate")] * 3
    with clock.at(NOON + timedelta(hours=1, minutes=2)):
        [mail] = deliver()
        assert mail.subject == "Acme: 3 notifications"


@pytest.mark.parametrize("end", ["resolved", "acknowledged"])
def test_a_page_that_is_not_needed_any_more_does_not_leave(acme: Desk, registry: dict[str, Any], end: str) -> None:
    done: list[str] = []
    topics.register(
        topics.Topic(
            "page", "Paged", ("incident.opened",), lambda _e: [acme.people["agent"].pk], Urgency.PAGE,
            over=lambda _e: "".join(done),
        )
    )  # fmt: skip
    with clock.at(NOON):
        ticket = acme.incident()
        relay(acme.tenant.pk)
        assert ledger(acme) == [("agent", "planned", "")]
        if end == "resolved":
            resolve_incident(
                actor=acme.actor("manager"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="x"
            )
        else:
            done.append("acknowledged")
        send_due(acme.tenant.pk)
    # Months later it does not leave either.
    with clock.at(NOON + timedelta(days=120)):
        send_due(acme.tenant.pk)
    assert ledger(acme) == [("agent", "dropped", end)]


def test_switched_off_is_not_told(acme: Desk, deliver: Deliver) -> None:
    update_preferences(actor=acme.actor("requester"), topics={"reply": {"email": False}})
    with clock.at(NOON):
        ticket = acme.incident()
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="By inbox alone")
        assert deliver() == []
        assert ledger(acme) == []
        with acme.inside():
            assert Notification.objects.get().in_inbox
        update_preferences(actor=acme.actor("requester"), topics={"reply": {"inbox": False}})
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="By no way at all")
        assert deliver() == []
        with acme.inside():
            assert Notification.objects.count() == 1
            row = Preference.objects.get(person=acme.people["requester"])
            assert row.topics == {"reply": {"email": False, "inbox": False}}


def test_the_tenants_defaults_hold_until_somebody_decides(acme: Desk, deliver: Deliver) -> None:
    update_preferences(actor=acme.actor("admin"), tenant_wide=True, topics={"reply": {"email": False}}, digest="daily")
    with clock.at(NOON):
        ticket = acme.incident()
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Quiet")
        assert deliver() == []
        update_preferences(actor=acme.actor("requester"), topics={"reply": {"email": True}}, digest="off")
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="Loud")
        assert len(deliver()) == 1


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"topics": {"nothing": {"email": True}}}, "/topics", "unknown_topic"),
        ({"topics": {"reply": {"pigeon": True}}}, "/topics", "unknown_channel"),
        ({"topics": {"reply": {"email": "yes"}}}, "/topics", "not_a_switch"),
        ({"quiet_start": time(22)}, "/quiet_end", "required"),
        ({"quiet_end": time(6)}, "/quiet_start", "required"),
        ({"quiet_start": time(6), "quiet_end": time(6)}, "/quiet_end", "same_time"),
        ({"digest": "weekly"}, "/digest", "unknown_value"),
        ({"digest_at": None}, "/digest_at", "required"),
    ],
)
def test_wishes_that_cannot_be(acme: Desk, given: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        update_preferences(actor=acme.actor("agent"), **given)
    assert [(p.pointer, p.code) for p in refused.value.problems] == [(field, code)]
    with acme.inside():
        assert not Preference.objects.exists()


def test_only_an_admin_sets_the_defaults(acme: Desk) -> None:
    with pytest.raises(Forbidden):
        update_preferences(actor=acme.actor("agent"), tenant_wide=True, digest="daily")
    with acme.inside():
        assert not Preference.objects.exists()
        assert not Event.objects.filter(kind="notification.preferences_changed").exists()
