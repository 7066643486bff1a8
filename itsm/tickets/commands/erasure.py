"""Removing texts: of a person who asks for it, and of tickets that were closed long enough ago.

What is removed is text and files; what happened stays, by ids. Events keep the salted digest of a removed text, and the
salt goes with the text, so that nobody can check a guess. docs/operations/erasure.md says what that means for people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from itsm.access.commands import keep_a_lasting_admin
from itsm.access.decide import authorize
from itsm.access.models import ApiToken, RoleGrant
from itsm.events.models import Delivery, Event, EventText
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound
from itsm.tenancy.models import Membership, Person
from itsm.tenancy.patience import patient
from itsm.tickets.files import drop_chunks
from itsm.tickets.models import Attachment, Comment, DeskSettings, SourceRecord, Ticket, TicketSearch, Watcher

#: What stands in place of a removed title, name of a person and name of a file: a list needs something to show.
REMOVED = "[removed]"
BATCH = 200


def erase_person(*, actor: Actor, person_id: UUID) -> dict[str, int]:
    """Remove a person: name, address, keys, login, roles, tokens, and the texts by and about the person. For good.

    On tickets that the person requested all free text goes: title, description, all comments, notes and files. Elsewhere
    the person's own comments, notes and files go; the tickets of others stay readable. Answers how much was removed, by
    kind. Raises NotFound for somebody unknown or already erased, Invalid for oneself.
    """
    with unit_of_work(actor) as work, patient():
        authorize(actor, "person.erase")
        person = Person.objects.select_for_update().filter(pk=person_id, erased_at__isnull=True).first()
        if person is None:
            raise NotFound
        if person.pk == actor.person_id:
            raise Invalid.one("person", "yourself", "You cannot erase yourself. Ask another admin.")
        keep_a_lasting_admin("person", work.now, person_id=person.pk)
        removed: Counter[str] = Counter()
        own = list(Ticket.objects.filter(requester_id=person.pk).order_by("pk").values_list("pk", flat=True))
        for first in range(0, len(own), BATCH):
            removed += _strip_tickets(work, own[first : first + BATCH], "erasure")
        removed += _strip_contributions(work, person.pk)
        removed["tokens"] = ApiToken.objects.filter(person_id=person.pk).delete()[0]
        removed["grants"] = RoleGrant.objects.filter(person_id=person.pk).delete()[0]
        removed["memberships"] = Membership.objects.filter(person_id=person.pk).delete()[0]
        removed["watched"] = Watcher.objects.filter(person_id=person.pk).delete()[0]
        person.name, person.email_key, person.source_key = REMOVED, None, None
        person.language, person.time_zone, person.organisation_id = "", "", None
        person.is_active, person.erased_at = False, work.now
        work.changed(
            person, "name", "email_key", "source_key", "language", "time_zone", "organisation", "is_active", "erased_at"
        )
        work.emit("person.erased", person=person.pk, removed=dict(removed))
    return dict(removed)


def retire_texts(*, actor: Actor, limit: int = BATCH) -> int:
    """Remove the texts of up to ``limit`` tickets that were closed longer ago than the tenant keeps texts.

    Answers how many tickets there were; 0 when there is nothing (left) to do or the tenant keeps texts for ever.
    """
    with unit_of_work(actor) as work, patient():
        authorize(actor, "text.retire")
        days = DeskSettings.objects.values_list("retention_days", flat=True).first()
        if days is None:
            return 0
        before = work.now - timedelta(days=days)
        due = list(_due_tickets(before).values_list("pk", flat=True)[:limit])
        if due:
            _strip_tickets(work, due, "retention")
            work.emit("texts.retired", tickets=len(due), before=before)
    return len(due)


def _due_tickets(before: datetime) -> QuerySet[Ticket]:
    texts = EventText.objects.filter(event__ticket_id=OuterRef("pk"))
    closed = Ticket.objects.filter(state_category__in=["closed", "canceled"], closed_at__lte=before)
    return closed.filter(~Q(title=REMOVED) | Exists(texts)).order_by("pk")


def _strip_tickets(work: UnitOfWork, ticket_ids: Sequence[UUID], reason: str) -> Counter[str]:
    """Take all free text from these tickets, of whoever wrote it. Other rooms follow by ticket.texts_removed."""
    removed: Counter[str] = Counter()
    tickets = _locked(ticket_ids)
    texts = EventText.objects.filter(event__ticket_id__in=ticket_ids)
    removed["texts"] = _delete(texts)
    removed["comments"] = Comment.objects.filter(ticket_id__in=ticket_ids, erased_at__isnull=True).update(
        body="", erased_at=work.now
    )
    removed["files"] = _remove_files(work, Attachment.objects.filter(ticket_id__in=ticket_ids))
    TicketSearch.objects.filter(ticket_id__in=ticket_ids).delete()
    for ticket in tickets:
        ticket.title, ticket.description = REMOVED, ""
        work.changed(ticket, "title", "description")
        work.emit("ticket.texts_removed", ticket, reason=reason)
        removed["tickets"] += 1
    return removed


def _strip_contributions(work: UnitOfWork, person_id: UUID) -> Counter[str]:
    """Take what the person wrote on the tickets of others; their titles and descriptions stay."""
    removed: Counter[str] = Counter()
    written = EventText.objects.filter(Q(event__actor_id=person_id) | Q(event_id__in=_repeated(person_id)))
    written = written.exclude(field__in=["title", "description"])
    comments = Comment.objects.filter(author_id=person_id, erased_at__isnull=True)
    files = Attachment.objects.filter(uploaded_by_id=person_id).exclude(name=REMOVED)
    touched = {
        *written.values_list("event__ticket_id", flat=True),
        *comments.values_list("ticket_id", flat=True),
        *files.values_list("ticket_id", flat=True),
    }
    tickets = _locked([ticket_id for ticket_id in touched if ticket_id is not None])
    removed["texts"] = _delete(written)
    removed["comments"] = comments.update(body="", erased_at=work.now)
    removed["files"] = _remove_files(work, files)
    # The words go at once; what remains of them is indexed again by the relay, from the event.
    TicketSearch.objects.filter(ticket_id__in=[ticket.pk for ticket in tickets]).delete()
    for ticket in tickets:
        work.emit("ticket.texts_removed", ticket, reason="erasure", person=person_id)
    return removed


def _repeated(person_id: UUID) -> list[UUID]:
    """Events with text that the product wrote because of something that the person did: notes copied to a child."""
    own = Event.objects.filter(actor_id__isnull=True, cause_id__isnull=False)
    found: list[UUID] = []
    causes = list(
        own.filter(cause_id__in=Event.objects.filter(actor_id=person_id).values("pk")).values_list("pk", flat=True)
    )
    while causes:
        found += causes
        causes = list(own.filter(cause_id__in=causes).values_list("pk", flat=True))
    return found


def _locked(ticket_ids: Sequence[UUID]) -> list[Ticket]:
    """The tickets under lock, before anything of them is removed: whoever writes on one waits, or is removed as well."""
    return list(Ticket.objects.select_for_update(no_key=True).filter(pk__in=ticket_ids).order_by("pk"))


def _delete(texts: QuerySet[EventText]) -> int:
    # By id: a DELETE cannot join, and the events that the condition asks for are only read.
    return EventText.objects.filter(pk__in=list(texts.values_list("pk", flat=True))).delete()[0]


def _remove_files(work: UnitOfWork, files: QuerySet[Attachment]) -> int:
    """The relay removes them from the storage when it hands out ticket.texts_removed: a file cannot be rolled back."""
    drop_chunks(list(files.values_list("pk", flat=True)))
    return files.exclude(name=REMOVED).update(name=REMOVED, removed_at=Coalesce("removed_at", Value(work.now)))


def forget_copies(_work: UnitOfWork, event: Event) -> None:
    """Subscriber: what the product keeps of a ticket that lost texts, by which a guess could be checked or read.

    The digest of what was imported says nothing then but that it was; the next import takes the case as unchanged.
    """
    if event.ticket_id is None:
        return
    SourceRecord.objects.filter(ticket_id=event.ticket_id).update(digest=b"")
    failed = Delivery.objects.filter(event_id__in=Event.objects.filter(ticket_id=event.ticket_id).values("pk"))
    failed.exclude(error="").update(error=REMOVED)
