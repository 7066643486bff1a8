"""Who hears of an event. Filled once at start-up by config/wiring.py; nothing registers itself anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from itsm.events.models import Event
    from itsm.events.write import UnitOfWork
    from itsm.kernel.errors import Violation

#: Runs in the transaction of the change, after the event is written (clocks, counters).
Subscriber = Callable[["UnitOfWork", "Event"], None]
#: Runs before the change is written, with the ticket as it will be and its new events: adds and changes rows that go with it.
Bookkeeper = Callable[["UnitOfWork", Any, "Sequence[Event]"], None]
#: Runs later, at least once, in a savepoint of its own inside the tenant (or outside). Must be idempotent.
Handler = Callable[["Event"], None]
#: Answers the policies that a change would break. Called before anything is written.
Guard = Callable[..., Sequence["Violation"]]


@dataclass(frozen=True, slots=True)
class Consumer:
    """A named receiver of events. ``kinds`` are prefixes: ``"incident."`` takes them all, ``""`` everything.

    One that talks to the network is ``outside``: it is called in no transaction and in no tenant, enters the tenant for
    what it reads and writes, and must be done within LEASE of the relay; after that the event is handed out again.
    """

    name: str
    kinds: tuple[str, ...]
    handle: Handler
    outside: bool = False

    def takes(self, kind: str) -> bool:
        return kind.startswith(self.kinds)


@dataclass(slots=True)
class Wiring:
    """Everything that is connected to the log of this process."""

    subscribers: list[tuple[tuple[str, ...], Subscriber]] = field(default_factory=list)
    bookkeepers: list[Bookkeeper] = field(default_factory=list)
    rules: list[tuple[tuple[str, ...], Subscriber]] = field(default_factory=list)
    consumers: dict[str, Consumer] = field(default_factory=dict)
    guards: list[Guard] = field(default_factory=list)
    #: Answers the ids of tickets that remember events of which none is there. For verification, inside the tenant.
    bare_tickets: Callable[[], Iterable[UUID]] = lambda: ()
    #: Called after commit with the tenant: the fast path to the relay. The sweep does not need it.
    wake_relay: Callable[[UUID], Any] = lambda _tenant_id: None
    #: Called after the relay sealed a batch, with the seconds since the oldest of its events was written.
    sealed: Callable[[float], Any] = lambda _seconds: None

    def react(self, kinds: tuple[str, ...], rule: Subscriber) -> None:
        """A rule: something that changes tickets by itself. It does not run again for a ticket within its own chain of causes."""
        self.rules.append((kinds, rule))

    def subscribe(self, kinds: tuple[str, ...], subscriber: Subscriber) -> None:
        """Bookkeeping (clocks, counters): sees every event of these kinds."""
        self.subscribers.append((kinds, subscriber))

    def keep(self, bookkeeper: Bookkeeper) -> None:
        """Figures of a ticket that stand in its own row or beside it (clocks): written by the statements of the change."""
        self.bookkeepers.append(bookkeeper)

    def consume(self, consumer: Consumer) -> None:
        self.consumers[consumer.name] = consumer

    def guard(self, guard: Guard) -> None:
        self.guards.append(guard)


wiring = Wiring()
