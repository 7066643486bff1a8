"""How a clock moves: pure computation on its row. docs/adr/0014-clocks.md has the table of operations.

All instants and spans are whole microseconds, instants since 1970 UTC. Nothing here reads a clock or a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from itsm.sla.calendar import BusinessTime


class ClockState(StrEnum):
    """Where a clock stands. The last three are its ends, of which only met and missed are verdicts."""

    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    MISSED = "missed"
    CANCELED = "canceled"


class WrongState(ValueError):
    """The operation makes no sense for a clock in this state; whoever asked has not looked."""

    def __init__(self, operation: str, state: ClockState) -> None:
        super().__init__(f"{operation} is not for a clock that is {state}")


@dataclass(frozen=True, slots=True)
class Threshold:
    """When to fire: at a share of the target in per cent (100 is the breach), or a span of business time before it."""

    percent: int | None = None
    before: int | None = None

    def work(self, target: int) -> int:
        """Business time since the start at which it fires; never less than nothing."""
        if self.percent is not None:
            return target * self.percent // 100
        return max(0, target - (self.before or 0))


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise about one ticket, as it stands.

    ``elapsed`` is banked; the time since ``anchor`` comes on top while it runs. ``armed`` holds the instant of each
    threshold, or None for one that has fired, is never reached or waits for a resume.
    """

    state: ClockState
    target: int
    thresholds: tuple[Threshold, ...]
    started: int
    generation: int = 1
    cycle: int = 1
    elapsed: int = 0
    anchor: int | None = None
    paused: int | None = None
    stopped: int | None = None
    due: int | None = None
    breached: int | None = None
    armed: tuple[int | None, ...] = ()
    fired: frozenset[int] = frozenset()

    @property
    def next_due(self) -> int | None:
        """The earliest armed threshold."""
        return min((instant for instant in self.armed if instant is not None), default=None)

    def elapsed_at(self, now: int, time: BusinessTime) -> int:
        """Business time used up at ``now``."""
        return self.elapsed + (time.elapsed(self.anchor, now) if self.anchor is not None else 0)

    def left_at(self, now: int, time: BusinessTime) -> int:
        """Business time left at ``now``; negative once it is overdue."""
        return self.target - self.elapsed_at(now, time)

    def due_steps(self, now: int) -> list[int]:
        """Numbers of the thresholds that are due, in the order in which they fell due."""
        due = [(instant, number) for number, instant in enumerate(self.armed) if instant is not None and instant <= now]
        return [number for _, number in sorted(due)]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch in which the clock ran: since when, how much was banked before it, and by which hours."""

    begin: int
    before: int
    time: BusinessTime


def start(now: int, target: int, thresholds: tuple[Threshold, ...], time: BusinessTime, *, cycle: int = 1) -> Clock:
    """A clock that runs since ``now``, which may lie in the past: what has passed since then counts."""
    clock = Clock(ClockState.RUNNING, target, thresholds, started=now, cycle=cycle, anchor=now)
    return _arm(clock, now, time)


def pause(clock: Clock, now: int, time: BusinessTime) -> Clock:
    """Bank what was used and disarm. A deadline that has passed stays passed."""
    _expect("pause", clock, ClockState.RUNNING)
    banked = _bank(clock, now, time)
    return replace(
        banked, state=ClockState.PAUSED, generation=clock.generation + 1, anchor=None, paused=now, due=None, armed=()
    )


def resume(clock: Clock, now: int, time: BusinessTime) -> Clock:
    """Go on from here with what is left."""
    _expect("resume", clock, ClockState.PAUSED)
    running = replace(clock, state=ClockState.RUNNING, generation=clock.generation + 1, anchor=now, paused=None)
    return _arm(running, now, time)


def retarget(
    clock: Clock,
    now: int,
    target: int,
    thresholds: tuple[Threshold, ...],
    time: BusinessTime,
    spans: Sequence[Span],
) -> Clock:
    """Another promise for the same work: the time used so far counts, as if it had been promised from the start.

    ``spans`` are the stretches in which the clock ran in this cycle, the present one included. A breach of the old promise is
    none of the new one. A threshold that fired stays fired, unless the new promise puts it into the future again.
    """
    _expect("retarget", clock, ClockState.RUNNING, ClockState.PAUSED)
    clock = replace(clock, target=target, generation=clock.generation + 1, due=None, breached=None)
    if clock.state is ClockState.RUNNING:
        clock = _bank(clock, now, time)
    old = {clock.thresholds[number] for number in clock.fired}
    fired = {number for number, one in enumerate(thresholds) if one in old and one.work(target) <= clock.elapsed}
    if clock.elapsed > target:
        clock = replace(clock, breached=_reached(target, spans))
    clock = replace(clock, thresholds=thresholds, fired=frozenset(fired))
    return clock if clock.state is ClockState.PAUSED else _arm(clock, now, time)


def recalendar(clock: Clock, now: int, old: BusinessTime, new: BusinessTime) -> Clock:
    """Other hours from now on. What was worked before is banked by the old ones, and nothing that fired is taken back."""
    _expect("recalendar", clock, ClockState.RUNNING, ClockState.PAUSED)
    if clock.state is ClockState.PAUSED:
        return replace(clock, generation=clock.generation + 1)
    # What _bank() and _arm() do, in one go: this runs for every open clock of a calendar.
    elapsed = clock.elapsed_at(now, old)
    breached = clock.due if clock.breached is None and clock.due is not None and clock.due < now else clock.breached
    due = breached if breached is not None else new.deadline(now, clock.target - elapsed)
    return Clock(
        clock.state, clock.target, clock.thresholds, clock.started, clock.generation + 1, clock.cycle, elapsed, now,
        clock.paused, clock.stopped, due, breached, () if due is None else _armed(clock, now, elapsed, new), clock.fired,
    )  # fmt: skip


def stop(clock: Clock, now: int, time: BusinessTime) -> Clock:
    """The work is done: met if all of it fitted into the target, to the microsecond."""
    _expect("stop", clock, ClockState.RUNNING, ClockState.PAUSED)
    banked = _bank(clock, now, time) if clock.state is ClockState.RUNNING else clock
    if banked.elapsed > banked.target:
        return _end(banked, ClockState.MISSED, now)
    # A sweep may have been faster than work that was done in time and written a moment later.
    return replace(_end(banked, ClockState.MET, now), breached=None)


def cancel(clock: Clock, now: int, time: BusinessTime) -> Clock:
    """The promise no longer holds; no verdict."""
    _expect("cancel", clock, ClockState.RUNNING, ClockState.PAUSED)
    return _end(_bank(clock, now, time) if clock.state is ClockState.RUNNING else clock, ClockState.CANCELED, now)


def reopen(clock: Clock, now: int, time: BusinessTime) -> Clock:
    """The work was not done after all: go on where it stopped. The time in between was nobody's."""
    _expect("reopen", clock, ClockState.MET, ClockState.MISSED)
    running = replace(clock, state=ClockState.RUNNING, generation=clock.generation + 1, anchor=now, stopped=None)
    return _arm(running, now, time)


def fire(clock: Clock, now: int) -> tuple[Clock, list[int]]:
    """Take the thresholds that are due at ``now``; the last of them speaks, the others are told with it. No new generation.

    Who is found at the very instant of the deadline is breached with the threshold that says so: no later sweep would note it.
    """
    steps = clock.due_steps(now)
    armed = tuple(None if number in steps else instant for number, instant in enumerate(clock.armed))
    breached = clock.due if clock.breached is None and clock.due is not None and clock.due <= now else clock.breached
    return replace(clock, armed=armed, fired=clock.fired | set(steps), breached=breached), steps


def _expect(operation: str, clock: Clock, *states: ClockState) -> None:
    if clock.state not in states:
        raise WrongState(operation, clock.state)


def _bank(clock: Clock, now: int, time: BusinessTime) -> Clock:
    """Add the business time since the anchor, and note a deadline that has passed."""
    breached = clock.due if clock.breached is None and clock.due is not None and clock.due < now else clock.breached
    return replace(clock, elapsed=clock.elapsed_at(now, time), anchor=now, breached=breached)


def _end(clock: Clock, state: ClockState, now: int) -> Clock:
    return replace(
        clock, state=state, generation=clock.generation + 1, stopped=now, anchor=None, paused=None, due=None, armed=()
    )


def _arm(clock: Clock, now: int, time: BusinessTime) -> Clock:
    """Deadline and thresholds of a running clock from its anchor on. What should have fired already is due at once."""
    anchor = now if clock.anchor is None else clock.anchor
    due = clock.breached if clock.breached is not None else time.deadline(anchor, clock.target - clock.elapsed)
    if due is None:
        return replace(clock, due=None, armed=())
    return replace(clock, due=due, armed=_armed(clock, anchor, clock.elapsed, time))


def _armed(clock: Clock, anchor: int, elapsed: int, time: BusinessTime) -> tuple[int | None, ...]:
    """When each threshold that has not fired is reached by who used up ``elapsed`` at ``anchor``."""
    return tuple(
        None if number in clock.fired else time.deadline(anchor, max(0, threshold.work(clock.target) - elapsed))
        for number, threshold in enumerate(clock.thresholds)
    )


def _reached(work: int, spans: Sequence[Span]) -> int | None:
    """The instant at which ``work`` had been done, in the last span that began before it was."""
    last = max((span for span in spans if span.before <= work), key=lambda span: span.begin)
    return last.time.deadline(last.begin, work - last.before)
