"""The time that commands act at. Real by default; seeds and tests set it, so that a month passes in a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_virtual: ContextVar[datetime | None] = ContextVar("virtual_now", default=None)


def now() -> datetime:
    """The instant at which things happen, aware, in UTC."""
    return _virtual.get() or datetime.now(UTC)


@contextmanager
def at(instant: datetime) -> Iterator[None]:
    """Run the block at ``instant`` (aware). Raises ValueError for a naive datetime: it would mean a guess about the zone."""
    if instant.tzinfo is None:
        raise ValueError("clock.at() needs an aware datetime")
    token = _virtual.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _virtual.reset(token)
