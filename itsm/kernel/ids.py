"""Identifiers: time-ordered UUIDs made in Python, so that an object has its id before it is stored."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): sortable by creation time, unique across processes and after fork."""
    return _uuid7()
