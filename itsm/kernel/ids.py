"""Identifiers: time-ordered UUIDs made in Python, so that an object has its id before it is stored."""

from __future__ import annotations

import re
from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7

_UUID = re.compile(r"\A[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): sortable by creation time, unique across processes and after fork."""
    return _uuid7()


def is_uuid(value: str) -> bool:
    """Whether the text is a UUID in its usual form."""
    return bool(_UUID.match(value))
