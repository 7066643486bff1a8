"""The unit of work: one transaction, one tenant, one actor. The only code that writes events."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Any, Protocol
from uuid import UUID

from django.db import models, transaction

from itsm.events.bus import Subscriber, wiring
from itsm.events.digest import event_digest, new_salt, text_digest
from itsm.events.kinds import check
from itsm.events.models import Event, EventText, Outbox
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, PolicyViolation, TooManyCauses, Violation, context_of
from itsm.kernel.ids import new_id
from itsm.tenancy.context import tenant
from itsm.tenancy.rows import insert, update

logger = logging.getLogger(__name__)

#: An automatic reaction to a reaction to a reaction … ends here.
MAX_DEPTH = 8
#: What every event changes in the row of its ticket.
_CHAIN = {"last_sequence", "last_digest"}


class Chained(Protocol):
    """What the log needs of a ticket: the end of its chain, which the ticket row carries under its own lock."""

    pk: Any
    kind: str
    version: int
    updated_at: datetime
    last_sequence: int
    last_digest: Any


class UnitOfWork:
    """Collects what a command changes and writes it in one go: rows, then events, then their outbox entries."""

    def __init__(self, actor: Actor, cause: Event | None) -> None:
        self.actor = actor
        self.now = clock.now()
        self.cause = cause
        self.depth = cause.depth + 1 if cause else 0
        if self.depth > MAX_DEPTH:
            raise TooManyCauses(
                f"A chain of {MAX_DEPTH} automatic reactions was stopped.", cause=str(cause.pk) if cause else ""
            )
        self._added: list[models.Model] = []
        self._changed: dict[Any, tuple[models.Model, set[str]]] = {}
        self._events: list[Event] = []
        self._texts: list[EventText] = []
        self._subjects: dict[Any, Chained] = {}
        #: Tickets with an event that is more than a remark.
        self._moved: set[Any] = set()

    def add(self, *rows: models.Model) -> None:
        """Insert these rows, in this order, before the events."""
        self._added.extend(rows)

    def changed(self, row: models.Model, *fields: str) -> None:
        """Save these fields of a row that the command has locked. A ticket also gets its next version."""
        self._changed.setdefault((type(row), row.pk), (row, set()))[1].update(fields)

    def guard(self, action: str, subject: Any, data: Mapping[str, Any]) -> None:
        """Ask every process policy; raises one PolicyViolation with all that object."""
        violations: list[Violation] = []
        for guard in wiring.guards:
            violations.extend(guard(actor=self.actor, action=action, subject=subject, data=data, now=self.now))
        if violations:
            raise PolicyViolation(violations)

    def emit(
        self,
        kind: str,
        ticket: Chained | None = None,
        /,
        *,
        texts: Mapping[str, str] | None = None,
        **payload: Any,
    ) -> Event:
        """Record that something happened, to ``ticket`` or to none.

        The payload holds ids, codes and digests; free text goes into ``texts``. (``ticket`` is positional, so that a
        payload may have a member of that name.)
        """
        kept = {name: text for name, text in (texts or {}).items() if text}
        clean = {key: _plain(value) for key, value in payload.items()}
        declared = check(kind, clean, kept)
        event = Event(
            pk=new_id(),
            tenant_id=self.actor.tenant_id,
            kind=kind,
            version=declared.version,
            actor_kind=self.actor.kind.value,
            actor_id=self.actor.person_id,
            actor_label=str(self.actor.token_id)
            if self.actor.token_id
            else self.actor.name
            if not self.actor.person_id
            else "",
            cause_id=self.cause.pk if self.cause else None,
            depth=self.depth,
            request_id=self.actor.request_id,
            occurred_at=self.now,
            recorded_at=datetime.now(UTC),
        )
        digests = {}
        for name, text in kept.items():
            salt = new_salt()
            digests[name] = text_digest(salt, text)
            self._texts.append(
                EventText(tenant_id=event.tenant_id, event_id=event.pk, field=name, text=text, salt=salt)
            )
        event.payload = {**clean, **({"texts": digests} if digests else {})}
        if ticket is not None:
            event.ticket_id = ticket.pk
            event.sequence = ticket.last_sequence + 1
            event.previous_digest = ticket.last_digest
            self._subjects[ticket.pk] = ticket
            if not declared.quiet:
                self._moved.add(ticket.pk)
        event.digest = event_digest(event)
        if ticket is not None:
            ticket.last_sequence = event.sequence
            ticket.last_digest = event.digest
            self.changed(ticket, "last_sequence", "last_digest")  # type: ignore[arg-type]
        self._events.append(event)
        return event

    def flush(self) -> None:
        """Write what was collected. Subscribers run here, in the same transaction; what they emit is written too."""
        while self._added or self._changed or self._events:
            self._keep_books()
            for _, rows in groupby(self._added, type):
                insert(list(rows))
            new = {(type(row), row.pk) for row in self._added}
            for key, (row, fields) in self._changed.items():
                if key not in new:
                    self._save(row, fields)
            events, self._events, texts, self._texts = self._events, [], self._texts, []
            self._added, self._changed = [], {}
            if not events:
                continue
            insert(events)
            insert(texts)
            insert([Outbox(tenant_id=self.actor.tenant_id, event_id=event.pk) for event in events])
            for event in events:
                for kinds, subscriber in wiring.subscribers:
                    if event.kind.startswith(kinds):
                        self._react(subscriber, event)
                for kinds, rule in wiring.rules:
                    if event.kind.startswith(kinds) and not self._ran_before(kinds, event):
                        self._react(rule, event)
            transaction.on_commit(partial(wiring.wake_relay, self.actor.tenant_id), robust=True)

    def _keep_books(self) -> None:
        """Whoever keeps figures of a ticket looks at each of its new events once, those that this brings about included."""
        seen = 0
        while seen < len(self._events):
            new, seen = self._events[seen:], len(self._events)
            for ticket_id in dict.fromkeys(event.ticket_id for event in new if event.ticket_id is not None):
                own = [event for event in new if event.ticket_id == ticket_id]
                for bookkeeper in wiring.bookkeepers:
                    bookkeeper(self, self._subjects[ticket_id], own)

    def _ran_before(self, kinds: tuple[str, ...], event: Event) -> bool:
        """Whether the chain of causes already went through the same rule for the same ticket: it does not run again."""
        above = self.cause
        while above is not None:
            if above.ticket_id == event.ticket_id and above.kind.startswith(kinds):
                return True
            above = Event.objects.filter(pk=above.cause_id).first() if above.cause_id else None
        return False

    def _react(self, subscriber: Subscriber, event: Event) -> None:
        """Run a subscriber. At the cap the change that it reacts to stands; only the reaction is undone and recorded."""
        if event.depth < MAX_DEPTH:
            subscriber(self, event)
            return
        try:
            with transaction.atomic():
                subscriber(self, event)
        except TooManyCauses:
            record_stop(self, f"{subscriber.__module__}.{subscriber.__qualname__}", event)

    def _save(self, row: models.Model, fields: set[str]) -> None:
        if hasattr(row, "last_sequence") and (row.pk in self._moved or fields - _CHAIN):
            row.version += 1  # type: ignore[attr-defined]
            row.updated_at = self.now  # type: ignore[attr-defined]
            fields |= {"version", "updated_at"}
        update(row, fields)


@contextmanager
def unit_of_work(actor: Actor, *, cause: Event | None = None) -> Iterator[UnitOfWork]:
    """Open (or join, by savepoint) the transaction in which a command does all its work.

    ``cause`` is the event that made an automatic reaction act; people act without one.
    """
    with tenant(actor.tenant_id):
        work = UnitOfWork(actor, cause)
        yield work
        work.flush()


def record_stop(work: UnitOfWork, reaction: str, event: Event) -> None:
    """Record, and tell the operator, that ``reaction`` to ``event`` was stopped by the depth cap."""
    logger.error("chain of reactions stopped at depth %d: %s", event.depth, reaction, extra={"event_id": str(event.pk)})
    if event.kind != "reaction.stopped":
        work.emit("reaction.stopped", reaction=reaction, event=event.pk, depth=event.depth)


def record_refusal(actor: Actor, error: DomainError, action: str) -> None:
    """Write down that a refusal happened, in a transaction of its own, after the refused one was rolled back."""
    if not error.recorded:
        return
    context = context_of(error)
    subject = context.pop("ticket", None)
    code = context.pop("code")
    with unit_of_work(actor) as work:
        work.emit("access.refused", action=action, code=code, subject=subject, context=context)


def _plain(value: Any) -> Any:
    """Payload values as JSON knows them."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value
