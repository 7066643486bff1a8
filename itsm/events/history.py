"""Events that happened elsewhere, earlier: chained and sealed like all others, but handed to nobody.

Nothing listens: no subscriber, no guard, no outbox entry, no delivery. What is recorded here was decided long ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from itsm.events.digest import event_digest, new_salt, text_digest
from itsm.events.kinds import check
from itsm.events.models import FeedHead
from itsm.events.relay import seal
from itsm.kernel.ids import new_id
from itsm.tenancy.bulk import hexed, insert_rows

_EVENT = {
    "id": "uuid",
    "ticket_id": "uuid",
    "sequence": "int",
    "kind": "text",
    "version": "smallint",
    "actor_id": "uuid",
    "payload": "jsonb",
    "occurred_at": "timestamptz",
    "previous_digest": "bytea",
    "digest": "bytea",
}
_TEXT = {"id": "uuid", "event_id": "uuid", "field": "text", "text": "text", "salt": "bytea"}


@dataclass(slots=True)
class PastEvent:
    """What event_digest() covers. Same names as the model, at a fraction of its cost."""

    tenant_id: UUID
    pk: UUID
    ticket_id: UUID | None
    sequence: int
    kind: str
    version: int
    actor_kind: str
    actor_id: UUID | None
    actor_label: str
    cause_id: UUID | None
    depth: int
    request_id: str
    payload: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime
    previous_digest: bytes | None
    digest: bytes = b""


class History:
    """Collects the past events of one transaction and writes them in one go: events, texts, feed positions and seal."""

    def __init__(self, tenant_id: UUID, job: str, request_id: str = "") -> None:
        self.tenant_id, self.job, self.request_id = tenant_id, job, request_id
        self.recorded_at = datetime.now(UTC)
        self._events: list[PastEvent] = []
        self._texts: list[dict[str, Any]] = []
        #: Versions of the kinds whose payloads had these keys and were found right: a log repeats a few shapes for ever.
        self._checked: dict[tuple[str, ...], int] = {}

    def append(
        self,
        kind: str,
        occurred_at: datetime,
        payload: dict[str, Any],
        *,
        ticket_id: UUID | None = None,
        after: PastEvent | None = None,
        actor_id: UUID | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> PastEvent:
        """Add one event. ``payload`` must be plain JSON already; ``after`` is the ticket's event before this one."""
        kept = {name: text for name, text in texts.items() if text} if texts else {}
        shape = (kind, *payload, *kept)
        version = self._checked.get(shape)
        if version is None:
            version = self._checked[shape] = check(kind, payload, kept).version
        pk = new_id()
        if kept:
            payload = {**payload, "texts": {name: self._text(pk, name, text) for name, text in kept.items()}}
        event = PastEvent(
            self.tenant_id,
            pk,
            ticket_id,
            0 if ticket_id is None else after.sequence + 1 if after else 1,
            kind,
            version,
            "system",
            actor_id,
            self.job,
            None,
            0,
            self.request_id,
            payload,
            occurred_at,
            self.recorded_at,
            after.digest if after else None,
        )
        event.digest = event_digest(event)
        self._events.append(event)
        return event

    def _text(self, event_id: UUID, name: str, text: str) -> str:
        salt = new_salt()
        self._texts.append({"id": new_id(), "event_id": event_id, "field": name, "text": text, "salt": hexed(salt)})
        return text_digest(salt, text)

    def write(self) -> int:
        """Insert everything and seal it. Call it last: it takes the lock on the end of the tenant's feed.

        Their tickets must be inserted before. Answers how many events were written.
        """
        events = self._events
        if not events:
            return 0
        insert_rows(
            "events_event",
            _EVENT,
            [
                {
                    "id": event.pk,
                    "ticket_id": event.ticket_id,
                    "sequence": event.sequence,
                    "kind": event.kind,
                    "version": event.version,
                    "actor_id": event.actor_id,
                    "payload": event.payload,
                    "occurred_at": event.occurred_at,
                    "previous_digest": hexed(event.previous_digest) if event.previous_digest else None,
                    "digest": hexed(event.digest),
                }
                for event in events
            ],
            {
                "tenant_id": self.tenant_id,
                "actor_kind": "system",
                "actor_label": self.job,
                "depth": 0,
                "request_id": self.request_id,
                "recorded_at": self.recorded_at,
            },
        )
        insert_rows("events_eventtext", _TEXT, self._texts, {"tenant_id": self.tenant_id})
        seal(FeedHead.objects.select_for_update().get(tenant_id=self.tenant_id), events)
        self._events, self._texts = [], []
        return len(events)
