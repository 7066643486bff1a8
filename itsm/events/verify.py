"""Checking the log: is every event what it was when it was written, in its place, and is none missing?

Three things are compared: each ticket's chain with its events and with the end of the chain that the ticket itself
remembers; the texts that are still there with the salted digests in their events; and the feed with its chain of seals.
Everything is read in order through cursors, so that memory does not grow with the log.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, Subquery

from itsm.events.bus import wiring
from itsm.events.digest import event_digest, text_digest
from itsm.events.models import Event, EventText, FeedEntry, FeedHead, Outbox, Seal
from itsm.tenancy.context import tenant

CHUNK = 2000
#: More breaks than this are counted and not listed: a log that is damaged all over needs no longer list.
LISTED = 1000


@dataclass(frozen=True, slots=True)
class Break:
    """One place where the log is not what it was. ``what`` says it in words; the ids say where."""

    what: str
    event: str | None = None
    ticket: str | None = None
    position: int | None = None


@dataclass(slots=True)
class Report:
    """What was checked, and what was found. ``unsealed`` events are committed and not in the feed yet: no break."""

    events: int = 0
    tickets: int = 0
    texts: int = 0
    positions: int = 0
    seals: int = 0
    unsealed: int = 0
    seconds: float = 0.0
    break_count: int = 0
    breaks: list[Break] = field(default_factory=list)

    def found(
        self, what: str, *, event: UUID | None = None, ticket: UUID | None = None, position: int | None = None
    ) -> None:
        self.break_count += 1
        if len(self.breaks) < LISTED:
            self.breaks.append(Break(what, _text(event), _text(ticket), position))

    @property
    def intact(self) -> bool:
        return self.break_count == 0

    @property
    def events_per_second(self) -> int:
        return round(self.events / self.seconds) if self.seconds else 0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "intact": self.intact, "events_per_second": self.events_per_second}


def verify(tenant_id: UUID) -> Report:
    """Check the whole log of a tenant. Users may go on writing meanwhile: all of it is read in one snapshot."""
    report = Report()
    begun = time.monotonic()
    own_transaction = not connection.in_atomic_block
    with tenant(tenant_id):
        with connection.cursor() as cursor:
            if own_transaction:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = '10min'")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")
        _check_chains(report)
        _check_loose(report)
        _check_texts(report)
        _check_feed(report)
        _check_missing(report)
    report.seconds = round(time.monotonic() - begun, 3)
    return report


def _check_chains(report: Report) -> None:
    """Every ticket's events: 1, 2, 3 …, each with the digest of its content and of the one before it."""
    events = (
        Event.objects.filter(ticket__isnull=False)
        .annotate(end_sequence=F("ticket__last_sequence"), end_digest=F("ticket__last_digest"))
        .order_by("ticket_id", "sequence")
    )
    before: Any = None
    for event in events.iterator(chunk_size=CHUNK):
        report.events += 1
        if before is None or before.ticket_id != event.ticket_id:
            _check_end(report, before)
            before = None
            report.tickets += 1
        expected = before.sequence + 1 if before is not None else 1
        if event.sequence != expected:
            report.found(f"event {expected} of the ticket is missing", event=event.pk, ticket=event.ticket_id)
        elif _bytes(event.previous_digest) != (_bytes(before.digest) if before is not None else None):
            report.found("does not follow the event before it", event=event.pk, ticket=event.ticket_id)
        _check_content(report, event)
        before = event
    _check_end(report, before)


def _check_content(report: Report, event: Event) -> None:
    if event_digest(event) != _bytes(event.digest):
        report.found("the content was changed", event=event.pk, ticket=event.ticket_id)


def _check_end(report: Report, last: Any) -> None:
    if last is not None and (last.end_sequence, _bytes(last.end_digest)) != (last.sequence, _bytes(last.digest)):
        report.found("is not the last event that its ticket remembers", event=last.pk, ticket=last.ticket_id)


def _check_loose(report: Report) -> None:
    """Events of no ticket stand alone; the seals tie them together."""
    for event in Event.objects.filter(ticket__isnull=True).order_by("pk").iterator(chunk_size=CHUNK):
        report.events += 1
        _check_content(report, event)


def _check_texts(report: Report) -> None:
    """Texts that are still there. One that is gone was erased, and its digest tells nothing about it any more."""
    texts = EventText.objects.values_list("event_id", "event__ticket_id", "event__payload", "field", "text", "salt")
    for event_id, ticket_id, payload, name, text, salt in texts.order_by("pk").iterator(chunk_size=CHUNK):
        report.texts += 1
        if (payload or {}).get("texts", {}).get(name) != text_digest(bytes(salt), text):
            report.found(f"the text {name} was changed", event=event_id, ticket=ticket_id)


def _check_feed(report: Report) -> None:
    """Positions 1, 2, 3 … in consecutive batches, each sealed with the digest of the batch before it."""
    entries = _entries()
    last: tuple[int, int, bytes | None] = (0, 0, None)  # batch, position, digest
    for seal in Seal.objects.order_by("batch").iterator(chunk_size=CHUNK):
        report.seals += 1
        batch, position, digest = last
        if (seal.batch, seal.first_position, _bytes(seal.previous_digest)) != (batch + 1, position + 1, digest):
            report.found(f"seal {seal.batch} does not follow seal {batch}", position=seal.first_position)
        sha = hashlib.sha256(_bytes(seal.previous_digest) or b"")
        sha.update(seal.first_position.to_bytes(8, "big"))
        held = None
        for expected in range(seal.first_position, seal.last_position + 1):
            found, event_id, event = held if held is not None else next(entries, (None, None, None))
            held = None
            if found != expected:
                report.found("this position of the feed is missing", position=expected)
                held = (found, event_id, event)
                continue
            report.positions += 1
            if event is None:
                report.found("the event of this position is missing", event=event_id, position=expected)
                continue
            sha.update(event)
        if held is not None and held[0] is not None:
            entries = _entries(after=seal.last_position)
        if sha.digest() != _bytes(seal.digest):
            report.found(
                f"seal {seal.batch} (positions {seal.first_position} to {seal.last_position}) does not fit its events",
                position=seal.first_position,
            )
        last = (seal.batch, seal.last_position, _bytes(seal.digest))
    for position, event_id, _ in entries:
        report.found("lies behind the last seal", event=event_id, position=position)
    head = FeedHead.objects.first()
    ends = (head.batch, head.position, _bytes(head.digest)) if head is not None else (0, 0, None)
    if ends != last:
        report.found(f"the feed ends at seal {last[0]}, its head says {ends[0]}", position=last[1])


def _entries(after: int = 0) -> Iterator[tuple[int, UUID, bytes | None]]:
    # Not a join by the foreign key: an inner join would leave out just the entries whose event is gone.
    digest_of = Subquery(Event.objects.filter(pk=OuterRef("event_id")).values("digest")[:1])
    rows = FeedEntry.objects.filter(position__gt=after).order_by("position").annotate(of_event=digest_of)
    for position, event_id, digest in rows.values_list("position", "event_id", "of_event").iterator(CHUNK):
        yield position, event_id, _bytes(digest)


def _check_missing(report: Report) -> None:
    """Events are in the feed or wait in the outbox; tickets that remember events have them."""
    outside = Event.objects.filter(~Exists(FeedEntry.objects.filter(event_id=OuterRef("pk"))))
    waiting = Exists(Outbox.objects.filter(event_id=OuterRef("pk")))
    report.unsealed = outside.filter(waiting).count()
    for event_id, ticket_id in outside.exclude(waiting).values_list("pk", "ticket_id").iterator(CHUNK):
        report.found("is neither in the feed nor waiting for it", event=event_id, ticket=ticket_id)
    for ticket_id in wiring.bare_tickets():
        report.found("all events of the ticket are missing", ticket=ticket_id)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
