"""Whose work this is, for log lines: ids only, set at the doors (request, task), read by whoever writes a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_NONE: Mapping[str, str] = {}
_current: ContextVar[Mapping[str, str]] = ContextVar("trace", default=_NONE)


def trace() -> Mapping[str, str]:
    """The ids in force: request_id, tenant, tenant_id, actor_id, task, task_id, as far as they are known."""
    return _current.get()


@contextmanager
def traced(**ids: str) -> Iterator[None]:
    """Begin a piece of work with these ids and no others; what was in force before comes back at the end."""
    token = _current.set(ids)
    try:
        yield
    finally:
        _current.reset(token)


def note(**ids: str) -> None:
    """Add ids that became known during the work."""
    _current.set({**_current.get(), **ids})
