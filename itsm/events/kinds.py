"""The catalogue of event kinds: which payload keys each carries, in which version. Emitting anything else is a bug.

A kind that changes its payload gets a new version and an upcaster from the old one, so that every event ever written can
be read in today's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventKind:
    """``required`` and ``optional`` are payload keys; ``texts`` are the fields kept beside the event, outside the payload.

    A ``quiet`` one tells something about its ticket and changes nothing of it: whoever edits the ticket is not disturbed.
    """

    name: str
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    version: int = 1
    quiet: bool = False
    upcasters: dict[int, Callable[[Payload], Payload]] = field(default_factory=dict)


#: Filled by declare(), once per process, by config/wiring.py.
KINDS: dict[str, EventKind] = {}


class UnknownKind(LookupError):
    """An event of a kind that nobody declared."""


class WrongPayload(ValueError):
    """An event whose payload or texts are not what its kind declares."""


def declare(*kinds: EventKind) -> None:
    """Add kinds to the catalogue. Declaring one twice raises ValueError."""
    for kind in kinds:
        if kind.name in KINDS:
            raise ValueError(f"event kind {kind.name} is declared twice")
        KINDS[kind.name] = kind


def kind(
    name: str, required: str = "", optional: str = "", texts: str = "", version: int = 1, *, quiet: bool = False
) -> EventKind:
    """Shorthand for declarations: the keys as one string, separated by blanks."""
    needed, allowed, beside = (frozenset(names.split()) for names in (required, optional, texts))
    return EventKind(name, needed, allowed, beside, version=version, quiet=quiet)


def check(name: str, payload: Payload, texts: dict[str, str]) -> EventKind:
    """The declared kind, after the payload was compared with it. Raises UnknownKind or WrongPayload."""
    try:
        declared = KINDS[name]
    except KeyError:
        raise UnknownKind(f"event kind {name} is not declared") from None
    keys = set(payload)
    if missing := declared.required - keys:
        raise WrongPayload(f"{name} lacks {sorted(missing)}")
    if extra := keys - declared.required - declared.optional:
        raise WrongPayload(f"{name} does not declare {sorted(extra)}")
    if extra := set(texts) - declared.texts:
        raise WrongPayload(f"{name} does not declare the texts {sorted(extra)}")
    return declared


def current(name: str, version: int, payload: Payload) -> Payload:
    """The payload in today's shape, whatever version it was written in."""
    declared = KINDS.get(name)
    if declared is None:
        return payload
    for old in range(version, declared.version):
        payload = declared.upcasters[old](payload)
    return payload


#: What the log begins with and what it writes by itself. All other kinds stand in the ``events`` module of their room or practice.
OF_THE_LOG = (
    kind("access.refused", "action code", "subject context"),
    kind("tenant.created", "slug"),
    # A chain of automatic reactions reached the cap; ``event`` is its last link, ``reaction`` what did not run.
    kind("reaction.stopped", "reaction event depth"),
)
