"""The sweeper's loop: sub-second precision, and clocks that go on firing on the day when the broker is down.

What is swept, in which order, is SWEEPS, filled by config/wiring.py: clocks first, then what they start.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, connections

from itsm.sla.sweep import Claim

logger = logging.getLogger(__name__)

#: Nobody waits longer for a clock that was armed after the last look.
TICK = 1.0
#: Seconds of telling tickets between two looks: no clock waits longer for those that have fired before it.
_TELLING = 0.1
_RECONNECT = 0.5


@dataclass(frozen=True, slots=True)
class Sweep:
    """Something that becomes due: who claims it, and who tells of it for at most so many seconds."""

    claim: Claim
    tell: Callable[[float], int]


SWEEPS: list[Sweep] = []


def run(
    stopped: Callable[[], bool], *, alive: Callable[[], None] = lambda: None, wait: Callable[[float], object]
) -> None:
    """Sweep until ``stopped()``. ``alive`` is called after each round that reached the database; ``wait`` may be cut short."""
    while not stopped():
        try:
            pause = once()
            alive()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the database cannot be reached, the sweeper tries again: %s", error)
            _disconnect()
            pause = _RECONNECT
        except Exception:
            # Whatever it is, the clocks of everybody else must go on.
            logger.exception("a sweep failed")
            _disconnect()
            pause = _RECONNECT
        if pause > 0 and not stopped():
            wait(pause)


def once() -> float:
    """One round. Answers how long nothing will be due, at most a tick."""
    begun = time.monotonic()
    complete = True
    for one in SWEEPS:
        done = one.claim.sweep()
        if done.clocks:
            logger.info("%ss fired", one.claim.what, extra={"clocks": done.clocks, "fires": done.fires})
        telling = time.monotonic()
        one.tell(_TELLING)
        complete &= done.complete and time.monotonic() <= telling + _TELLING
    if not complete:
        return 0.0
    left = TICK
    for one in SWEEPS:
        due = one.claim.look()
        if due.next_due_at is not None:
            left = min(left, (due.next_due_at - due.now).total_seconds())
    return max(0.0, min(left, TICK - (time.monotonic() - begun) % TICK))


def _disconnect() -> None:
    for connection in connections.all(initialized_only=True):
        with suppress(DatabaseError, InterfaceError):
            connection.close()
