"""Clocks: each operation by example, and any sequence of them against plain sums of the stretches in which it ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from itsm.sla import clock as clocks
from itsm.sla.calendar import SECOND, BusinessTime, to_micros
from itsm.sla.calendar_file import DAYS, read_hours
from itsm.sla.clock import Clock, ClockState, Span, Threshold, WrongState

HOUR = 3600 * SECOND
OFFICE = BusinessTime(read_hours({"timezone": "UTC", "weekly": {day: [["09:00", "17:00"]] for day in DAYS[:5]}}))
ALWAYS = BusinessTime(read_hours({"timezone": "UTC", "always": True}))
NEVER = BusinessTime(read_hours({"timezone": "UTC"}))
HALF, BREACH = Threshold(percent=50), Threshold(percent=100)
STEPS = (HALF, Threshold(percent=75), BREACH, Threshold(before=HOUR))


def at(day: int, hour: int, minute: int = 0) -> int:
    """A time in the week of Monday, 23 November 2026."""
    return to_micros(datetime(2026, 11, 22 + day, hour, minute, tzinfo=UTC))


def test_deadline_and_thresholds_are_known_at_the_start() -> None:
    clock = clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE)
    assert (clock.state, clock.due, clock.next_due) == ("running", at(2, 10), at(1, 14))
    assert clock.armed == (at(1, 14), at(1, 16), at(2, 10), at(1, 17)), "an hour of work before is closing time"
    assert (clock.elapsed_at(at(1, 20), OFFICE), clock.left_at(at(2, 12), OFFICE)) == (7 * HOUR, -2 * HOUR)


def test_a_pause_banks_and_disarms_and_resume_goes_on() -> None:
    clock = clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE)
    paused = clocks.pause(clock, at(1, 11), OFFICE)
    assert (paused.due, paused.next_due, paused.elapsed, paused.elapsed_at(at(5, 11), OFFICE)) == (
        None,
        None,
        HOUR,
        HOUR,
    )
    resumed = clocks.resume(paused, at(1, 12), OFFICE)
    assert (resumed.due, resumed.armed[0], resumed.generation) == (at(2, 11), at(1, 15), 3)
    outside = clocks.resume(clocks.pause(clock, at(1, 18), OFFICE), at(1, 23), OFFICE)
    assert outside.due == at(2, 10)


def test_what_was_due_before_a_pause_and_not_fired_is_due_at_once_after_it() -> None:
    clock = clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE)
    paused = clocks.pause(clock, at(1, 14, 30), OFFICE)
    assert paused.due_steps(at(5, 12)) == [], "nothing fires in a pause"
    resumed = clocks.resume(paused, at(2, 12), OFFICE)
    fired, steps = clocks.fire(resumed, at(2, 12))
    assert (steps, fired.armed[0], fired.armed[1]) == ([0], None, at(2, 13, 30))


@pytest.mark.parametrize(
    ("moment", "state", "breached"),
    [((2, 10), ClockState.MET, None), ((2, 9), ClockState.MET, None), ((2, 11), ClockState.MISSED, at(2, 10))],
)
def test_met_to_the_microsecond(moment: tuple[int, int], state: ClockState, breached: int | None) -> None:
    clock = clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE)
    ended = clocks.stop(clock, at(*moment), OFFICE)
    assert (ended.state, ended.breached, ended.stopped, ended.next_due) == (state, breached, at(*moment), None)
    assert clocks.stop(clock, at(2, 10) + 1, OFFICE).state is ClockState.MISSED


def test_a_breach_is_its_deadline_and_outlasts_a_pause() -> None:
    clock = clocks.start(at(1, 10), HOUR, (BREACH,), OFFICE)
    fired, steps = clocks.fire(clock, at(4, 12))
    assert (steps, fired.breached, fired.next_due) == ([0], at(1, 11), None)
    again = clocks.resume(clocks.pause(fired, at(4, 13), OFFICE), at(5, 9), OFFICE)
    assert (again.due, again.next_due, again.breached) == (at(1, 11), None, at(1, 11))
    unseen = clocks.pause(clock, at(4, 13), OFFICE)
    assert unseen.breached == at(1, 11), "nobody had noticed, and it is a breach all the same"
    assert clocks.resume(unseen, at(5, 9), OFFICE).next_due == at(5, 9)


def spans(*stretches: tuple[int, int], time: BusinessTime = OFFICE) -> list[Span]:
    return [Span(begin, before, time) for begin, before in stretches]


def test_a_shorter_promise_may_be_broken_already() -> None:
    clock = clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE)
    clock, _ = clocks.fire(clock, at(1, 14))
    shorter = clocks.retarget(clock, at(1, 15), 2 * HOUR, STEPS, OFFICE, spans((at(1, 10), 0)))
    assert (shorter.due, shorter.breached, shorter.elapsed) == (at(1, 12), at(1, 12), 5 * HOUR)
    fired, steps = clocks.fire(shorter, at(1, 15))
    assert (steps, fired.fired) == ([1, 2, 3], {0, 1, 2, 3}), "half had fired before and is not told again"


def test_a_broken_promise_shorter_than_an_earlier_stretch() -> None:
    clock = clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE)
    clock = clocks.resume(clocks.pause(clock, at(1, 13), OFFICE), at(1, 16), OFFICE)
    ran = spans((at(1, 10), 0), (at(1, 16), 3 * HOUR))
    assert clocks.retarget(clock, at(2, 9), 2 * HOUR, STEPS, OFFICE, ran).due == at(1, 12)
    assert clocks.retarget(clock, at(2, 11), 5 * HOUR, STEPS, OFFICE, ran).due == at(2, 10)
    paused = clocks.pause(clock, at(2, 9), OFFICE)
    late = clocks.retarget(paused, at(2, 12), 2 * HOUR, STEPS, OFFICE, ran)
    assert (late.state, late.breached, late.due) == (ClockState.PAUSED, at(1, 12), None)
    assert clocks.stop(late, at(2, 12), OFFICE).state is ClockState.MISSED


def test_a_longer_promise_heals_and_can_be_broken_again() -> None:
    clock, _ = clocks.fire(clocks.start(at(1, 10), HOUR, (BREACH,), OFFICE), at(1, 12))
    longer = clocks.retarget(clock, at(1, 12), 8 * HOUR, (BREACH,), OFFICE, spans((at(1, 10), 0)))
    assert (longer.due, longer.breached, longer.next_due) == (at(2, 10), None, at(2, 10))
    fired, steps = clocks.fire(longer, at(2, 11))
    assert (steps, fired.breached) == ([0], at(2, 10))


def test_other_hours_count_from_now_on() -> None:
    clock = clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE)
    clock, _ = clocks.fire(clock, at(1, 15))
    changed = clocks.recalendar(clock, at(1, 15), OFFICE, ALWAYS)
    assert (changed.due, changed.armed, changed.elapsed) == (
        at(1, 18),
        (None, at(1, 16), at(1, 18), at(1, 17)),
        5 * HOUR,
    )
    paused = clocks.pause(changed, at(1, 16), ALWAYS)
    assert clocks.recalendar(paused, at(1, 20), ALWAYS, OFFICE).elapsed == 6 * HOUR


def test_reopened_it_goes_on_where_it_stopped() -> None:
    clock = clocks.stop(clocks.start(at(1, 10), 8 * HOUR, STEPS, OFFICE), at(1, 12), OFFICE)
    again = clocks.reopen(clock, at(3, 9), OFFICE)
    assert (again.state, again.due, again.stopped, again.elapsed) == ("running", at(3, 15), None, 2 * HOUR)


def test_hours_that_never_come_arm_nothing() -> None:
    clock = clocks.start(at(1, 10), HOUR, STEPS, NEVER)
    assert (clock.due, clock.next_due, clocks.stop(clock, at(5, 10), NEVER).state) == (None, None, ClockState.MET)


def test_started_in_the_past_it_is_due_at_once() -> None:
    clock = clocks.start(at(1, 10), HOUR, STEPS, OFFICE)
    _, steps = clocks.fire(clock, at(3, 10))
    assert steps == [3, 0, 1, 2], "in the order in which they fell due"


@pytest.mark.parametrize(
    ("operation", "states"),
    [
        (clocks.pause, {"paused", "met", "missed", "canceled"}),
        (clocks.resume, {"running", "met", "missed", "canceled"}),
        (clocks.stop, {"met", "missed", "canceled"}),
        (clocks.cancel, {"met", "missed", "canceled"}),
        (clocks.reopen, {"running", "paused", "canceled"}),
    ],
)
def test_what_a_state_does_not_allow(operation: Any, states: set[str]) -> None:
    running = clocks.start(at(1, 10), HOUR, STEPS, OFFICE)
    made = {
        "running": running,
        "paused": clocks.pause(running, at(1, 10), OFFICE),
        "met": clocks.stop(running, at(1, 10), OFFICE),
        "missed": clocks.stop(running, at(1, 12), OFFICE),
        "canceled": clocks.cancel(running, at(1, 10), OFFICE),
    }
    for name, clock in made.items():
        if name in states:
            with pytest.raises(WrongState, match=name):
                operation(clock, at(1, 12), OFFICE)
        else:
            assert operation(clock, at(1, 12), OFFICE).generation == clock.generation + 1


class Replay(RuleBasedStateMachine):
    """Any life of a clock. Beside it only the stretches in which it ran are kept, and all is summed from them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: Clock
        self.ran: list[tuple[int, int]] = []
        self.told: set[int] = set()

    @initialize(hours=st.sampled_from([OFFICE, ALWAYS]), promised=st.integers(0, 30 * 3600))
    def begin(self, hours: BusinessTime, promised: int) -> None:
        self.time, self.now, self.target = hours, at(1, 10), promised * SECOND
        self.clock = clocks.start(self.now, self.target, STEPS, hours)
        self.since: int | None = self.now

    def used(self, until: int) -> int:
        open_stretch = [(self.since, until)] if self.since is not None else []
        return sum(self.time.elapsed(begin, end) for begin, end in [*self.ran, *open_stretch])

    def reached(self, work: int, until: int) -> int | None:
        """When the sum passed ``work``, looked for stretch by stretch."""
        for begin, end in [*self.ran, *([(self.since, until)] if self.since is not None else [])]:
            span = self.time.elapsed(begin, end)
            if span > work:
                return self.time.deadline(begin, work)
            work -= span
        return None

    @rule(seconds=st.integers(0, 20 * 3600))
    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @precondition(lambda self: self.clock.state is ClockState.RUNNING)
    @rule()
    def sweep(self) -> None:
        self.clock, steps = clocks.fire(self.clock, self.now)
        assert not self.told & set(steps), "told once"
        self.told |= set(steps)
        used = self.used(self.now)
        expected = {number for number, one in enumerate(STEPS) if one.work(self.target) <= used}
        assert self.told == expected

    @precondition(lambda self: self.clock.state is ClockState.RUNNING)
    @rule()
    def pause(self) -> None:
        self.clock = clocks.pause(self.clock, self.now, self.time)
        assert self.since is not None
        self.ran.append((self.since, self.now))
        self.since = None

    @precondition(lambda self: self.clock.state is ClockState.PAUSED)
    @rule()
    def resume(self) -> None:
        self.clock = clocks.resume(self.clock, self.now, self.time)
        self.since = self.now

    @precondition(lambda self: self.clock.state in (ClockState.RUNNING, ClockState.PAUSED))
    @rule(promised=st.integers(0, 30 * 3600))
    def promise(self, promised: int) -> None:
        begun, before = [], 0
        for begin, end in [*self.ran, *([(self.since, self.now)] if self.since is not None else [])]:
            begun.append(Span(begin, before, self.time))
            before += self.time.elapsed(begin, end)
        self.target = promised * SECOND
        self.clock = clocks.retarget(self.clock, self.now, self.target, STEPS, self.time, begun)
        self.told &= {number for number, one in enumerate(STEPS) if one.work(self.target) <= self.used(self.now)}

    @precondition(lambda self: self.clock.state in (ClockState.RUNNING, ClockState.PAUSED))
    @rule()
    def stop_and_reopen(self) -> None:
        ended = clocks.stop(self.clock, self.now, self.time)
        used = self.used(self.now)
        assert ended.state is (ClockState.MISSED if used > self.target else ClockState.MET)
        assert ended.breached == (self.reached(self.target, self.now) if used > self.target else None)
        self.clock = clocks.reopen(ended, self.now, self.time)
        if self.since is not None:
            self.ran.append((self.since, self.now))
        self.since = self.now

    @invariant()
    def adds_up(self) -> None:
        if not hasattr(self, "clock"):
            return
        clock, used = self.clock, self.used(self.now)
        assert clock.elapsed_at(self.now, self.time) == used
        assert (clock.anchor is not None) == (clock.state is ClockState.RUNNING)
        if clock.state is ClockState.PAUSED:
            assert (clock.due, clock.next_due) == (None, None)
        elif used <= self.target:
            assert clock.due is not None
            assert clock.due >= self.now or self.time.elapsed(clock.due, self.now) == 0
            assert self.used(max(clock.due, self.now)) == self.target
        else:
            assert clock.due == self.reached(self.target, self.now)


Replay.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=timedelta(seconds=5))
TestReplay = Replay.TestCase
