"""The course of a ticket's clocks: which facts start, pause, stop, retarget and cancel them.

The same code runs in the transaction of a change, with the facts of its events, and over recorded history, with all of them.
It decides; clock.py computes; who called it writes the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from itsm.kernel.ids import new_id
from itsm.sla import clock as clocks
from itsm.sla.book import Promise, business_time, terms_of
from itsm.sla.calendar import SECOND, BusinessTime, to_micros
from itsm.sla.clock import Clock, ClockState, Span
from itsm.sla.facts import Fact
from itsm.sla.models import ENDS, Metric, SlaClock, SlaClockEvent
from itsm.sla.rows import computed, record, store
from itsm.sla.targets import SECONDS_MAX
from itsm.sla.terms import Terms
from itsm.tickets.models import OPEN_CATEGORIES, StateCategory, Ticket

_OPEN = (ClockState.RUNNING, ClockState.PAUSED)
_ENDED = (StateCategory.CLOSED, StateCategory.CANCELED)


class Promises(Protocol):
    """Who knows what a ticket is promised (book.Book)."""

    def promise(self, metric: str, ticket: Ticket) -> Promise | None: ...


@dataclass(slots=True)
class Retargeted:
    """A promise that became another one, for the timeline."""

    row: SlaClock
    before: tuple[str, UUID, str | None]
    because: str


@dataclass(slots=True)
class Course:
    """The clocks of one ticket, while facts are applied to them."""

    tenant_id: UUID
    ticket: Ticket
    promises: Callable[[], Promises]
    rows: list[SlaClock]
    #: Recorded history up to this fact, for clocks that start late; empty when there is none.
    past: Callable[[], Sequence[Fact]] = lambda: ()
    #: The organisation of the ticket's requester, asked when a clock ends.
    organisation: Callable[[], UUID | None] = lambda: None
    new: list[SlaClock] = field(default_factory=list)
    touched: dict[UUID, SlaClock] = field(default_factory=dict)
    events: list[SlaClockEvent] = field(default_factory=list)
    retargeted: list[Retargeted] = field(default_factory=list)

    def take(self, fact: Fact) -> None:
        """Apply one fact, in the order of the pass: what ends, what waits, what goes on, what begins."""
        if fact.opened:
            self._begin(fact, (Metric.RESPONSE, Metric.RESOLUTION))
            if self.ticket.team_id is not None:
                self._begin(fact, (Metric.OLA,))
        self._stop(fact)
        self._wait(fact)
        if fact.category in OPEN_CATEGORIES and not fact.opened:
            self._reopen(fact)
        if fact.changed:
            self._rematch(fact)
        if fact.cadence:
            self._keep_cadence(fact)
        if fact.message and self._works_on() and not self._open(Metric.RESPONSE) and not self._open(Metric.UPDATE):
            # An unanswered message starts it; a second one does not push its deadline away.
            self._begin(fact, (Metric.UPDATE,))

    def ask_again(self, fact: Fact, because: str) -> None:
        """Ask for every open clock what it is promised now; what changed is the promise and not the ticket."""
        for row in self._open():
            self._compare(row, fact, because)

    def withdraw(self, policy_id: UUID, fact: Fact) -> None:
        """Take the open clocks of a policy that is out of use: the next one that means the ticket has them, or they end."""
        for row in self._open():
            if row.policy_id != policy_id:
                continue
            if self.promises().promise(row.metric, self.ticket) is None:
                self._do(row, "cancel", clocks.cancel, fact, "withdrawn")
            else:
                self._compare(row, fact, "policy")

    @property
    def due_at(self) -> datetime | None:
        """The earliest deadline of open clocks, for the spine. One that waits has none, unless it has passed: it stays passed."""
        return min((due for row in self._open() if (due := row.due_at or row.breached_at) is not None), default=None)

    def _works_on(self) -> bool:
        return self.ticket.state_category in OPEN_CATEGORIES

    def _open(self, *metrics: str) -> list[SlaClock]:
        return [row for row in self.rows if row.state in _OPEN and (not metrics or row.metric in metrics)]

    # --- the pass ----------------------------------------------------------------------------------------------------

    def _stop(self, fact: Fact) -> None:
        ends = {
            "reply": fact.answer,
            "started": fact.category is StateCategory.ACTIVE,
            "assigned": fact.assigned,
            "resolved": fact.category is StateCategory.DONE,
            "closed": fact.category is StateCategory.CLOSED,
            "moved": "team" in fact.changed,
        }
        for row in self._open():
            reason = next((name for name in sorted(self._terms(row).stop) if ends[name]), "")
            if reason:
                self._do(row, "stop", clocks.stop, fact, reason)
            elif fact.category in _ENDED:
                self._do(row, "cancel", clocks.cancel, fact, str(fact.category))

    def _wait(self, fact: Fact) -> None:
        if fact.category is None:
            return
        for row in self._open():
            waits = fact.category is StateCategory.WAITING and fact.hold_reason in self._terms(row).pause
            if waits and row.state == ClockState.RUNNING:
                row.pause_reason = fact.hold_reason
                self._do(row, "pause", clocks.pause, fact, fact.hold_reason)
            elif not waits and row.state == ClockState.PAUSED:
                row.pause_reason = ""
                self._do(row, "resume", clocks.resume, fact, str(fact.category))

    def _reopen(self, fact: Fact) -> None:
        """The work was not done after all. Who was answered once stays answered."""
        for metric in (Metric.RESOLUTION, Metric.OLA):
            last = max((row for row in self.rows if row.metric == metric), key=lambda row: row.cycle, default=None)
            if last is None or last.state not in (ClockState.MET, ClockState.MISSED):
                continue
            if self._moved_away(last):
                continue
            if self._terms(last).reopen == "resume":
                self._do(last, "reopen", clocks.reopen, fact, "reopened")
                if fact.category is StateCategory.WAITING:
                    self._wait(fact)
            else:
                self._begin(fact, (metric,))

    def _moved_away(self, row: SlaClock) -> bool:
        """Whether the clock ended because its team handed the ticket on; the next team's has begun since."""
        return row.metric == Metric.OLA and row.team_id != self.ticket.team_id

    def _rematch(self, fact: Fact) -> None:
        because = ",".join(sorted(fact.changed))
        for row in self._open():
            self._compare(row, fact, because)
        if not self._works_on():
            return
        for metric in (Metric.RESPONSE, Metric.RESOLUTION):
            if not any(row.metric == metric and row.state != ClockState.CANCELED for row in self.rows):
                self._begin_late(fact, metric)
        if "team" in fact.changed and self.ticket.team_id is not None and not self._open(Metric.OLA):
            self._begin(fact, (Metric.OLA,))

    def _keep_cadence(self, fact: Fact) -> None:
        """News was sent, or is owed from now on: each cycle is the wait for one. What is owed nothing more has no verdict."""
        running = self._open(Metric.CADENCE)
        for row in running:
            if fact.cadence == "ends":
                self._do(row, "cancel", clocks.cancel, fact, "ended")
            elif fact.cadence == "kept":
                self._do(row, "stop", clocks.stop, fact, "update")
        if self._works_on() and fact.cadence == ("kept" if running else "begins"):
            self._begin(fact, (Metric.CADENCE,))

    def _compare(self, row: SlaClock, fact: Fact, because: str) -> None:
        promise = self.promises().promise(row.metric, self.ticket)
        if promise is None:
            if self._terms(row).unmatched == "cancel":
                self._do(row, "cancel", clocks.cancel, fact, "unmatched")
            return
        same = (row.policy_version_id, row.promise) == (promise.version_id, promise.row.promise)
        if same and row.calendar_version_id == promise.calendar_version_id:
            return
        before = (row.promise, row.policy_version_id, row.due_at.isoformat() if row.due_at else None)
        self._retarget(row, promise, fact, because)
        self.retargeted.append(Retargeted(row, before, because))

    # --- operations --------------------------------------------------------------------------------------------------

    def _begin(self, fact: Fact, metrics: Iterable[str]) -> SlaClock | None:
        row = None
        for metric in metrics:
            promise = self.promises().promise(metric, self.ticket)
            if promise is None:
                continue
            time = self._time(promise.calendar_version_id)
            work = promise.row.target.work(time, fact.at)
            cycle = 1 + max((row.cycle for row in self.rows if row.metric == metric), default=0)
            row = self._row(metric, promise)
            self._put(
                row, clocks.start(fact.at, _work(work), promise.terms.thresholds, time, cycle=cycle), "start", fact, ""
            )
        return row

    def _begin_late(self, fact: Fact, metric: str) -> None:
        """A promise that holds only now: from now on, or (the default) as if it had held from the beginning."""
        promise = self.promises().promise(metric, self.ticket)
        if promise is None:
            return
        if not promise.terms.retroactive_start:
            self._begin(fact, (metric,))
            return
        past = [one for one in self.past() if one.at <= fact.at and one.event_id != fact.event_id]
        first = next((one for one in past if one.opened), None)
        if first is None:
            self._begin(fact, (metric,))
            return
        row = self._begin(first, (metric,))
        for one in past:
            if row is None or one is first:
                continue
            self._only(row, one, pauses=promise.terms.retroactive_pause)

    def _only(self, row: SlaClock, fact: Fact, *, pauses: bool) -> None:
        """Apply a fact of the past to one clock alone."""
        rows, self.rows = self.rows, [row]
        try:
            self._stop(fact)
            if pauses:
                self._wait(fact)
            if fact.category in OPEN_CATEGORIES and not fact.opened:
                self._reopen(fact)
        finally:
            self.rows = rows

    def _row(self, metric: str, promise: Promise) -> SlaClock:
        row = SlaClock(
            pk=new_id(),
            tenant_id=self.tenant_id,
            ticket_id=self.ticket.pk,
            metric=metric,
            team_id=self.ticket.team_id if metric == Metric.OLA else None,
        )
        self._name(row, promise)
        self.rows.append(row)
        self.new.append(row)
        return row

    def _name(self, row: SlaClock, promise: Promise) -> None:
        row.policy_id, row.policy_version_id = promise.policy_id, promise.version_id
        row.calendar_version_id, row.promise = promise.calendar_version_id, promise.row.promise

    def _retarget(self, row: SlaClock, promise: Promise, fact: Fact, because: str) -> None:
        clock, old = computed(row, self._terms(row)), self._time(row.calendar_version_id)
        time = self._time(promise.calendar_version_id)
        spans = self._spans(row)
        if row.calendar_version_id != promise.calendar_version_id:
            clock = clocks.recalendar(clock, fact.at, old, time)
            row.calendar_version_id = promise.calendar_version_id
            self._put(row, clock, "calendar", fact, because)
            if clock.state is ClockState.RUNNING:
                spans = [*spans, Span(fact.at, clock.elapsed, time)]
        target = promise.row.target.work(time, clock.started)
        self._name(row, promise)
        clock = clocks.retarget(clock, fact.at, _work(target), promise.terms.thresholds, time, spans)
        self._put(row, clock, "retarget", fact, because)

    def _spans(self, row: SlaClock) -> list[Span]:
        stored: Iterable[SlaClockEvent] = ()
        if row not in self.new:
            stored = SlaClockEvent.objects.filter(tenant_id=self.tenant_id, clock_id=row.pk).order_by("generation")
        return spans_of(self.tenant_id, [*stored, *(event for event in self.events if event.clock_id == row.pk)])

    def _do(
        self, row: SlaClock, name: str, operation: Callable[[Clock, int, BusinessTime], Clock], fact: Fact, reason: str
    ) -> None:
        time = self._time(row.calendar_version_id)
        self._put(row, operation(computed(row, self._terms(row)), fact.at, time), name, fact, reason)

    def _put(self, row: SlaClock, clock: Clock, operation: str, fact: Fact, reason: str) -> None:
        row.cycle = clock.cycle
        store(row, clock)
        self.touched[row.pk] = row
        event = record(row, operation, fact.at, reason, fact.event_id)
        if operation in ENDS:
            event.priority, event.team_id, event.service_id = (
                self.ticket.priority,
                self.ticket.team_id,
                self.ticket.service_id,
            )
            event.organisation_id = self.organisation()
        self.events.append(event)

    def _terms(self, row: SlaClock) -> Terms:
        return terms_of(self.tenant_id, row.policy_version_id)

    def _time(self, version_id: UUID) -> BusinessTime:
        return business_time(self.tenant_id, version_id)


def _work(target: int | None) -> int:
    """Business days that never come: as much work as no target may have, which such a calendar never holds either."""
    return SECONDS_MAX * SECOND if target is None else target


#: Operations after which a clock runs, and those after which it does not.
_RUNS = frozenset({"start", "resume", "reopen"})
_STANDS = frozenset({"pause", "stop", "cancel"})


def spans_of(tenant_id: UUID, events: Iterable[SlaClockEvent]) -> list[Span]:
    """The stretches in which a clock ran, from its events in order. A change of hours begins a new one."""
    spans: list[Span] = []
    running = False
    for event in events:
        if event.operation in _STANDS:
            running = False
            continue
        running = running or event.operation in _RUNS
        if running and (event.operation in _RUNS or event.operation == "calendar"):
            time = business_time(tenant_id, event.calendar_version_id)
            spans.append(Span(to_micros(event.at), event.elapsed, time))
    return spans
