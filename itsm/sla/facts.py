"""What the events of a ticket mean to clocks, whatever practice wrote them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from itsm.events.kinds import current
from itsm.sla.calendar import to_micros
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Audience, StateCategory

#: Fields whose change may mean another promise.
MATCHED = frozenset({"priority", "impact", "urgency", "service", "category", "requester", "team"})


#: What an event does to the cadence of its ticket, by its kind. Filled by config/wiring.py.
CADENCE: dict[str, str] = {}


def keep_cadence(*, begins: Iterable[str], kept: Iterable[str], ends: Iterable[str]) -> None:
    """Say which events make news due on a ticket, which are news, and after which none is owed any more."""
    for word, kinds in (("begins", begins), ("kept", kept), ("ends", ends)):
        CADENCE.update(dict.fromkeys(kinds, word))


class Recorded(Protocol):
    """What facts need of an event."""

    @property
    def pk(self) -> UUID: ...
    @property
    def kind(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def payload(self) -> Any: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def actor_id(self) -> UUID | None: ...


E = TypeVar("E", bound=Recorded)


@dataclass(frozen=True, slots=True)
class Fact:
    """One event, as clocks see it. ``category`` is that of the state which it leads to, None when it leads nowhere."""

    at: int
    #: None when no event of the ticket brought it about.
    event_id: UUID | None
    opened: bool = False
    category: StateCategory | None = None
    hold_reason: str = ""
    #: A public comment: of somebody who works on the ticket, or of somebody who waits for it.
    answer: bool = False
    message: bool = False
    assigned: bool = False
    changed: frozenset[str] = frozenset()
    #: "begins", "kept" or "ends" for events of the cadence.
    cadence: str = ""


def facts(kind: str, events: Sequence[E], *, works: Callable[[E], bool]) -> list[Fact]:
    """The events of a ticket of this kind that mean anything. ``works`` says whether the author of one works on it."""
    found = (_fact(kind, event, works) for event in events)
    return [fact for fact in found if fact is not None]


def _fact(kind: str, event: E, works: Callable[[E], bool]) -> Fact | None:
    payload = current(event.kind, event.version, event.payload)
    at, changes = to_micros(event.occurred_at), payload.get("changes") or {}
    if event.kind == "ticket.commented":
        if payload.get("audience") != Audience.PUBLIC or event.actor_id is None:
            return None
        answer = works(event)
        return Fact(at, event.pk, answer=answer, message=not answer)
    if event.kind == "ticket.assigned":
        moved = _differs(payload.get("team"))
        changed = frozenset({"team"}) if moved else frozenset[str]()
        return Fact(at, event.pk, assigned=_to_somebody(payload.get("assignee")), changed=changed)
    if event.kind == "ticket.updated":
        changed = MATCHED & set(changes)
        return Fact(at, event.pk, changed=changed) if changed else None
    if event.kind in CADENCE:
        return Fact(at, event.pk, cadence=CADENCE[event.kind])
    pair = payload.get("state")
    if not isinstance(pair, list):
        return None
    known = KINDS.get(kind)
    state = known.flow.states.get(pair[1]) if known is not None else None
    return Fact(
        at,
        event.pk,
        opened=pair[0] is None,
        category=state.category if state is not None else None,
        hold_reason=str(payload.get("hold_reason") or ""),
        assigned=_to_somebody(changes.get("assignee")) or (pair[0] is None and payload.get("assignee") is not None),
        changed=MATCHED & {name for name, pair in changes.items() if _differs(pair)},
    )


def _differs(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and pair[0] != pair[1]


def _to_somebody(pair: Any) -> bool:
    return _differs(pair) and pair[1] is not None
