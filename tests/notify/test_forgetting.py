"""What must be gone is gone: an erased person's inbox and mails, words of a ticket that lost them, and old rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from itsm.kernel import clock
from itsm.notify.commands.preferences import update_preferences
from itsm.notify.models import Dispatch, Notification, Preference
from itsm.notify.tasks import KEEP_MAILS, KEEP_NOTIFICATIONS, prune_all, send_all, send_tenant
from itsm.tickets.commands import comment_on_ticket, erase_person, watch_ticket
from tests.factories import Desk
from tests.notify.conftest import NOON

Deliver = Callable[[], list[Any]]
SECRET = "xylophone"


def words_left() -> list[str]:
    left = []
    with connection.cursor() as cursor:
        for table in ("notify_notification", "notify_dispatch", "notify_preference"):
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s", [f"%{SECRET}%"])
            if cursor.fetchone()[0]:
                left.append(table)
    return left


def test_an_erased_person_leaves_no_mail_and_no_preference(acme: Desk, deliver: Deliver) -> None:
    with clock.at(NOON):
        update_preferences(actor=acme.actor("colleague"), digest="daily")
        ticket = acme.incident()
        watch_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, person_id=acme.people["colleague"].pk)
        comment_on_ticket(actor=acme.actor("colleague"), ticket_id=ticket.pk, body=SECRET)
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="for the colleague's digest")
        deliver()
        with acme.inside():
            assert words_left() == ["notify_dispatch"]
            assert Notification.objects.filter(person=acme.people["colleague"]).count() == 1
        erase_person(actor=acme.actor("admin"), person_id=acme.people["colleague"].pk)
    with acme.inside():
        assert words_left() == []
        assert not Notification.objects.filter(person=acme.people["colleague"]).exists()
        assert not Dispatch.objects.filter(person=acme.people["colleague"]).exists()
        assert not Preference.objects.exists()
        # That the requester was told stays, without the words.
        row = Dispatch.objects.order_by("created_at", "pk").first()
        assert (row.status, row.subject, row.text, row.address) == ("sent", "[removed]", "", "")


def test_a_ticket_that_loses_its_words_loses_them_in_mails_and_digests(acme: Desk, deliver: Deliver) -> None:
    update_preferences(actor=acme.actor("agent"), digest="hourly")
    with clock.at(NOON):
        ticket = acme.incident(title=SECRET)
        watch_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk)
        comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body=SECRET)
        deliver()
    with clock.at(NOON + timedelta(hours=1)):
        assert len(deliver()) == 1
        with acme.inside():
            assert words_left() == ["notify_dispatch"]
        erase_person(actor=acme.actor("admin"), person_id=acme.people["requester"].pk)
        with acme.inside():
            assert words_left() == []


def test_old_rows_are_pruned_and_waiting_ones_are_not(acme: Desk, deliver: Deliver) -> None:
    update_preferences(actor=acme.actor("agent"), digest="daily")
    with clock.at(NOON):
        ticket = acme.incident()
        watch_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk)
        for word in ("One", "Two"):
            comment_on_ticket(actor=acme.actor("requester"), ticket_id=ticket.pk, body=word)
            comment_on_ticket(actor=acme.actor("manager"), ticket_id=ticket.pk, body=word)
        deliver()

    def left() -> tuple[int, int]:
        with acme.inside():
            return Dispatch.objects.count(), Notification.objects.count()

    with clock.at(NOON + KEEP_MAILS + timedelta(days=1)):
        assert left() == (6, 6)
        assert prune_all() == 2  # The mails to the requester; the agent's wait for their digest still.
        assert prune_all() == 0
        deliver()
        assert left() == (5, 6)
    with clock.at(NOON + KEEP_MAILS * 3):
        assert prune_all() == 5
        assert left() == (0, 6)
    with clock.at(NOON + KEEP_NOTIFICATIONS + timedelta(days=1)):
        assert prune_all() == 6
        assert prune_all() == 0
    assert left() == (0, 0)


def test_the_sweep_sends_and_a_second_one_finds_nothing(acme: Desk, globex: Desk, mailoutbox: list[Any]) -> None:
    from itsm.events.relay import relay

    for desk in (acme, globex):
        ticket = desk.incident()
        comment_on_ticket(actor=desk.actor("agent"), ticket_id=ticket.pk, body="x")
        relay(desk.tenant.pk)
    assert send_all() == 2
    assert sorted(one.to[0] for one in mailoutbox) == ["requester@acme.example", "requester@globex.example"]
    assert send_all() == 0
    assert send_tenant(str(acme.tenant.pk)) == 0
    assert len(mailoutbox) == 2


@pytest.mark.usefixtures("noon")
def test_a_server_that_is_away_is_tried_again_and_one_that_refuses_is_not(
    acme: Desk, deliver: Deliver, monkeypatch: pytest.MonkeyPatch, mailoutbox: list[Any]
) -> None:
    from smtplib import SMTPRecipientsRefused

    from django.core.mail.backends.locmem import EmailBackend

    ways: list[Any] = [ConnectionRefusedError("nobody there"), None]
    real = EmailBackend.send_messages

    def send(self: Any, messages: Any) -> Any:
        way = ways.pop(0) if ways else None
        if way is not None:
            raise way
        return real(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", send)
    ticket = acme.incident()
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="x")
    assert deliver() == []
    with acme.inside():
        row = Dispatch.objects.get()
        assert (row.status, row.attempts, row.error) == ("planned", 1, "ConnectionRefusedError: nobody there")
        assert row.available_at == NOON + timedelta(seconds=10)
    with clock.at(NOON + timedelta(seconds=10)):
        [mail] = deliver()
    assert mail.extra_headers["Message-ID"] == f"<{row.pk}@localhost>"
    ways.append(SMTPRecipientsRefused({"requester@acme.example": (550, b"no such user")}))
    comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="y")
    assert deliver() == []
    with acme.inside():
        assert Dispatch.objects.values_list("status", "reason").order_by("-created_at", "-pk")[0] == (
            "failed",
            "refused",
        )


def test_what_was_leased_by_somebody_who_died_leaves_later_with_the_same_id(acme: Desk, deliver: Deliver) -> None:
    from itsm.events.relay import relay
    from itsm.notify import ledger

    with clock.at(NOON):
        ticket = acme.incident()
        comment_on_ticket(actor=acme.actor("agent"), ticket_id=ticket.pk, body="x")
        relay(acme.tenant.pk)
        with acme.inside():
            [row] = ledger.take(NOON, 10)  # and dies
        assert deliver() == []
    with clock.at(NOON + ledger.LEASE):
        [mail] = deliver()
        assert mail.extra_headers["Message-ID"] == f"<{row.pk}@localhost>"
        assert deliver() == []
    for _ in range(ledger.MAX_ATTEMPTS):
        with acme.inside():
            Dispatch.objects.update(status="planned", available_at=NOON, attempts=ledger.MAX_ATTEMPTS)
        deliver()
    with acme.inside():
        assert Dispatch.objects.values_list("status", "error").get() == ("failed", "no attempt came to an end")
