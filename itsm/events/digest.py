"""How digests are made. Changing anything here breaks every chain ever written: add a new format, never edit this one."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from itsm.events.history import PastEvent
    from itsm.events.models import Event


def text_digest(salt: bytes, text: str) -> str:
    """Salted SHA-256 of a text, hex. The salt goes away with the text, so a guess cannot be checked afterwards."""
    return hashlib.sha256(salt + text.encode("utf-8")).hexdigest()


def new_salt() -> bytes:
    return secrets.token_bytes(16)


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def event_digest(event: Event | PastEvent) -> bytes:
    """SHA-256 of the event's content and of the previous event's digest."""
    content: list[Any] = [
        str(event.tenant_id),
        str(event.pk),
        str(event.ticket_id) if event.ticket_id else None,
        event.sequence,
        event.kind,
        event.version,
        event.actor_kind,
        str(event.actor_id) if event.actor_id else None,
        event.actor_label,
        str(event.cause_id) if event.cause_id else None,
        event.depth,
        event.request_id,
        event.payload,
        _instant(event.occurred_at),
        _instant(event.recorded_at),
        bytes(event.previous_digest).hex() if event.previous_digest else None,
    ]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def seal_digest(previous: Any, first_position: int, events: Iterable[Any]) -> bytes:
    """SHA-256 over the previous seal, the first position and the batch's event digests in feed order."""
    sha = hashlib.sha256(bytes(previous) if previous else b"")
    sha.update(first_position.to_bytes(8, "big"))
    for digest in events:
        sha.update(bytes(digest))
    return sha.digest()
