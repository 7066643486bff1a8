"""Whoever commands a major incident is reminded of its review when it is overdue: once a day, until it is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from config.celery import app
from incidents.commands import declare_major, reopen_incident, resolve_incident, review_major, stand_down_major
from incidents.commands.major_review import remind_of_review
from incidents.models import MajorIncident
from incidents.review_reminders import remind_due
from incidents.tasks import remind_of_reviews
from itsm.access.commands import set_person_active, update_person
from itsm.events.models import Event
from itsm.kernel import clock
from itsm.kernel.errors import Forbidden
from itsm.tenancy.models import Tenant
from itsm.tenancy.roles import database_role
from itsm.tickets.models import Ticket
from tests.factories import Desk

Deliver = Callable[[], list[Any]]
pytestmark = pytest.mark.django_db

#: Wednesday noon; the review is due a week later, at the close of the working day.
NOON = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
DUE = datetime(2026, 6, 17, 17, 0, tzinfo=UTC)


def resolved(desk: Desk, **given: Any) -> Ticket:
    """A major incident that an agent has commanded and that is resolved on Wednesday noon."""
    given.setdefault("commander_id", desk.people["agent"].pk)
    with clock.at(NOON):
        ticket = desk.incident(impact=1, urgency=1)
        declare_major(actor=desk.actor("manager"), ticket_id=ticket.pk, reason="All shops are offline.", **given)
        resolve_incident(
            actor=desk.actor("manager"), ticket_id=ticket.pk, close_code="solution_provided", close_notes="New switch."
        )
    return ticket


def reminders(desk: Desk, ticket: Ticket) -> list[datetime]:
    with desk.inside():
        events = Event.objects.filter(ticket_id=ticket.pk, kind="incident.major_review_overdue").order_by("sequence")
        return list(events.values_list("occurred_at", flat=True))


def test_the_commander_is_reminded_when_it_is_due_and_not_a_second_before(acme: Desk, deliver: Deliver) -> None:
    ticket = resolved(acme)
    with acme.inside():
        assert MajorIncident.objects.get(pk=ticket.pk).review_due_at == DUE
        version = Ticket.objects.values_list("version", flat=True).get(pk=ticket.pk)
    with clock.at(DUE - timedelta(seconds=1)):
        assert remind_due(acme.tenant.pk) == 0
        deliver()
    mail.outbox.clear()
    with clock.at(DUE):
        assert remind_due(acme.tenant.pk) == 1
        sent = deliver()
    assert [(one.to, one.subject) for one in sent] == [
        (["agent@acme.example"], f"The review of {ticket.number} is overdue: The printer is on fire")
    ]
    assert "reminded of the review of the major incident, which was due by June 17, 2026" in sent[0].body
    with acme.inside():
        event = Event.objects.get(kind="incident.major_review_overdue")
        assert (event.actor_kind, event.actor_label) == ("system", "remind_of_review")
        assert event.payload == {"due_at": DUE.isoformat(), "commander": str(acme.people["agent"].pk)}
        assert Ticket.objects.values_list("version", flat=True).get(pk=ticket.pk) == version, "nobody is disturbed"


def test_running_twice_tells_once_and_the_next_day_again(acme: Desk, deliver: Deliver) -> None:
    ticket = resolved(acme)
    system = acme.system
    with clock.at(DUE):
        assert (remind_due(acme.tenant.pk), remind_due(acme.tenant.pk)) == (1, 0)
        assert remind_of_review(actor=system, ticket_id=ticket.pk) is False, "asked under lock as well"
        deliver()
    mail.outbox.clear()
    with clock.at(DUE + timedelta(hours=23, minutes=59)):
        assert (remind_due(acme.tenant.pk), deliver()) == (0, [])
    with clock.at(DUE + timedelta(days=1)):
        assert (remind_due(acme.tenant.pk), remind_due(acme.tenant.pk)) == (1, 0)
        assert len(deliver()) == 1
    assert reminders(acme, ticket) == [DUE, DUE + timedelta(days=1)]


def test_it_is_told_in_german(acme: Desk, deliver: Deliver) -> None:
    ticket = resolved(acme)
    update_person(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, language="de")
    with clock.at(DUE):
        remind_due(acme.tenant.pk)
        found = [one for one in deliver() if "überfällig" in one.subject]
    assert [one.subject for one in found] == [
        f"Der Rückblick auf {ticket.number} ist überfällig: The printer is on fire"
    ]
    assert "erinnert an den Rückblick auf die Großstörung, der bis 17. Juni 2026 fällig war" in found[0].body


def test_done_stood_down_or_reopened_meanwhile_nothing(acme: Desk, deliver: Deliver) -> None:
    done, none, again, late = (resolved(acme) for _ in range(4))
    manager = acme.actor("manager")
    texts = {"went_well": "Quick.", "went_badly": "No spare.", "causes": "Old switch."}
    with clock.at(DUE - timedelta(days=6)):
        review_major(actor=manager, ticket_id=done.pk, **texts)
        stand_down_major(actor=manager, ticket_id=none.pk, reason="One shop only.")
        reopen_incident(actor=manager, ticket_id=again.pk, reason="Down again.")
        deliver()
    mail.outbox.clear()
    with clock.at(DUE):
        assert remind_due(acme.tenant.pk) == 1
        # Written between the reminder and the mail: nobody is told.
        review_major(actor=manager, ticket_id=late.pk, **texts)
        assert [one for one in deliver() if "overdue" in one.subject] == []
    with clock.at(DUE + timedelta(days=2)):
        assert remind_due(acme.tenant.pk) == 0
    assert [len(reminders(acme, one)) for one in (done, none, again, late)] == [0, 0, 0, 1]


def test_without_a_commander_the_managers_are_reminded(acme: Desk, deliver: Deliver) -> None:
    ticket = resolved(acme)
    set_person_active(actor=acme.actor("admin"), person_id=acme.people["agent"].pk, active=False)
    with clock.at(DUE):
        assert remind_due(acme.tenant.pk) == 1
        sent = [one for one in deliver() if "overdue" in one.subject]
    assert [one.to for one in sent] == [["manager@acme.example"]]
    with acme.inside():
        assert Event.objects.get(ticket_id=ticket.pk, kind="incident.major_review_overdue").payload["commander"] is None


def test_people_cannot_remind_and_an_ordinary_incident_has_no_review(acme: Desk) -> None:
    ticket, ordinary = resolved(acme), acme.incident()
    with clock.at(DUE):
        with pytest.raises(Forbidden):
            remind_of_review(actor=acme.actor("requester"), ticket_id=ticket.pk)
        assert remind_of_review(actor=acme.system, ticket_id=ordinary.pk) is False
    assert (reminders(acme, ticket), reminders(acme, ordinary)) == ([], [])


def test_each_service_desk_that_works_and_none_that_was_closed(acme: Desk, globex: Desk) -> None:
    here, there = resolved(acme), resolved(globex)
    with database_role("owner") as alias:
        Tenant.objects.using(alias).filter(pk=globex.tenant.pk).update(is_active=False)
    with clock.at(DUE):
        assert remind_of_reviews() == 1
    assert (len(reminders(acme, here)), reminders(globex, there)) == (1, [])


def test_beat_asks_for_it() -> None:
    entry = app.conf.beat_schedule["review_reminders"]
    assert (entry["task"], entry["schedule"]) == (remind_of_reviews.name, 300.0)
