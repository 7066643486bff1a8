"""What is removed here when a person is erased, when texts of a ticket go, and when rows are old."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from itsm.events.models import Event
from itsm.events.write import UnitOfWork
from itsm.notify.models import Dispatch, Notification, Preference

REMOVED = "[removed]"


def forget_person(_work: UnitOfWork, event: Event) -> None:
    """Subscriber of person.erased: inbox and preferences go, and every mail to the person, or that tells of what he did."""
    person = event.payload["person"]
    to = Dispatch.objects.filter(person_id=person)
    of = Dispatch.objects.filter(notification__event__actor_id=person)
    _blank(_with_digests(Q(pk__in=to.values("pk")) | Q(pk__in=of.values("pk"))))
    to.filter(digest__isnull=False).update(digest=None)
    to.delete()
    Notification.objects.filter(person_id=person).delete()
    Preference.objects.filter(person_id=person).delete()


def forget_texts(_work: UnitOfWork, event: Event) -> None:
    """Subscriber of ticket.texts_removed: mails that quoted the ticket keep that they were sent, and no words."""
    if event.ticket_id is not None:
        _blank(_with_digests(Q(ticket_id=event.ticket_id)))


def _with_digests(condition: Q) -> QuerySet[Dispatch]:
    """The dispatches, and the digests that carried them."""
    found = Dispatch.objects.filter(condition)
    return Dispatch.objects.filter(Q(condition) | Q(pk__in=found.exclude(digest=None).values("digest_id")))


def _blank(rows: QuerySet[Dispatch]) -> None:
    written = rows.exclude(subject="", text="", address="", error="")
    # By id: an UPDATE cannot join.
    Dispatch.objects.filter(pk__in=list(written.values_list("pk", flat=True))).update(
        subject=REMOVED, text="", address="", error=""
    )
