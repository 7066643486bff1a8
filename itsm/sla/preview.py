"""What would move? New hours or terms, tried on the open clocks without writing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from itsm.access.decide import authorize, visible_to
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound, Problems
from itsm.kernel.ids import new_id
from itsm.sla import clock as clocks
from itsm.sla.book import Book, Promise, Trees, book, business_time, terms_of
from itsm.sla.calendar import SECOND, BusinessTime, Succession, from_micros, to_micros
from itsm.sla.calendar_file import read_hours
from itsm.sla.clock import Clock
from itsm.sla.commands.calendars import checked_hours, checked_start
from itsm.sla.commands.policies import checked_terms
from itsm.sla.course import spans_of
from itsm.sla.models import Metric, SlaCalendar, SlaCalendarVersion, SlaClock, SlaClockEvent, SlaPolicy
from itsm.sla.recompute import on_hours
from itsm.sla.rows import computed
from itsm.sla.targets import SECONDS_MAX
from itsm.tickets.models import Ticket

#: Clocks that are tried; a preview of more says that it is not complete.
CLOCKS_MAX = 10_000
#: Clocks that are named.
SHOWN_MAX = 100
_OPEN = ("running", "paused")


@dataclass(frozen=True, slots=True)
class Move:
    """A clock that would go on otherwise. ``after`` is None where there is no deadline or no promise any more."""

    number: str
    metric: str
    state: str
    promise: str
    new_promise: str
    before: datetime | None
    after: datetime | None


@dataclass(slots=True)
class Preview:
    """How many open clocks were tried, how many would move and how; the first of them, those that are due first before."""

    at: datetime
    clocks: int = 0
    moved: int = 0
    earlier: int = 0
    later: int = 0
    #: Late as soon as it is saved.
    overdue: int = 0
    #: Promised nothing any more.
    dropped: int = 0
    complete: bool = True
    moves: list[Move] = field(default_factory=list)


def preview_calendar(actor: Actor, calendar_id: UUID, hours: Any, effective_from: date | None = None) -> Preview:
    """Which open clocks would move if these hours became the next version of the calendar.

    Of tickets that the actor sees. Raises what change_calendar() would refuse.
    """
    authorize(actor, "sla.manage")
    given = checked_hours(Problems(), hours)
    calendar: SlaCalendar | None = SlaCalendar.objects.filter(tenant_id=actor.tenant_id, pk=calendar_id).first()
    if calendar is None:
        raise NotFound
    start = checked_start(calendar, given, effective_from)
    versions = SlaCalendarVersion.objects.filter(tenant_id=actor.tenant_id, calendar_id=calendar_id).order_by("version")
    parts = tuple((one.effective_from, read_hours(one.hours)) for one in versions)
    new = BusinessTime(Succession((*parts, (start, given))))
    now = clock.now()
    rows = _clocks(actor, calendar_version__calendar=calendar_id)
    return _preview(
        now,
        rows,
        (
            (row, row.promise, on_hours(actor.tenant_id, row, row.calendar_version_id, to_micros(now), new))
            for row in rows
        ),
    )


def preview_policy(actor: Actor, terms: Any, *, policy_id: UUID | None = None, metric: str | None = None) -> Preview:
    """Which open clocks of the metric would move if these terms were saved and applied: of a policy, or of a new one."""
    authorize(actor, "sla.manage")
    policy: SlaPolicy | None = None
    if policy_id is not None:
        policy = SlaPolicy.objects.filter(tenant_id=actor.tenant_id, pk=policy_id).first()
        if policy is None:
            raise NotFound
        metric = policy.metric
    if metric not in Metric.values:
        raise Invalid.one("metric", "unknown_metric", f"metric must be one of {', '.join(Metric.values)}.")
    read = checked_terms(actor, metric, terms)
    draft, found = new_id(), book(actor.tenant_id)
    own = None if policy is None else policy.pk
    order = [(pk, draft if pk == own else version) for pk, version in found.policies.get(metric, [])]
    if policy is None:
        order.insert(0, (draft, draft))
    tried = replace(found, policies={**found.policies, metric: order}, drafts={draft: read}, trees=Trees())
    now = clock.now()
    rows = _clocks(actor, metric=metric)
    return _preview(now, rows, _tried(actor.tenant_id, tried, rows, to_micros(now)))


def _clocks(actor: Actor, **which: Any) -> list[SlaClock]:
    tickets = visible_to(actor, Ticket.objects.all()).values("pk")
    rows: QuerySet[Any] = SlaClock.objects.filter(
        tenant_id=actor.tenant_id, state__in=_OPEN, ticket_id__in=tickets, **which
    )
    return list(rows.select_related("ticket").order_by("due_at", "pk")[: CLOCKS_MAX + 1])


def _tried(
    tenant_id: UUID, tried: Book, rows: Iterable[SlaClock], now: int
) -> Iterator[tuple[SlaClock, str, Clock | None]]:
    for row in rows:
        promise = tried.promise(row.metric, row.ticket)
        before = computed(row, terms_of(tenant_id, row.policy_version_id))
        if promise is None:
            kept = terms_of(tenant_id, row.policy_version_id).unmatched == "keep"
            yield row, row.promise if kept else "", before if kept else None
        elif (promise.version_id, promise.row.promise) == (row.policy_version_id, row.promise):
            yield row, row.promise, before
        else:
            yield row, promise.row.promise, _retargeted(tenant_id, row, before, promise, now)


def _retargeted(tenant_id: UUID, row: SlaClock, before: Clock, promise: Promise, now: int) -> Clock:
    new = business_time(tenant_id, promise.calendar_version_id)
    found = before
    if row.calendar_version_id != promise.calendar_version_id:
        found = clocks.recalendar(found, now, business_time(tenant_id, row.calendar_version_id), new)
    work = promise.row.target.work(new, found.started)
    target = SECONDS_MAX * SECOND if work is None else work
    late = found.elapsed_at(now, new) > target
    events = SlaClockEvent.objects.filter(tenant_id=tenant_id, clock_id=row.pk).order_by("generation") if late else []
    return clocks.retarget(found, now, target, promise.terms.thresholds, new, spans_of(tenant_id, events))


def _preview(now: datetime, rows: list[SlaClock], tried: Iterable[tuple[SlaClock, str, Clock | None]]) -> Preview:
    found = Preview(now, complete=len(rows) <= CLOCKS_MAX)
    for row, promise, after in tried:
        if found.clocks == CLOCKS_MAX:
            break
        found.clocks += 1
        due = None if after is None or after.due is None else from_micros(after.due)
        if due == row.due_at and promise == row.promise:
            continue
        found.moved += 1
        found.dropped += after is None
        if due is not None and row.due_at is not None:
            found.earlier += due < row.due_at
            found.later += due > row.due_at
            found.overdue += due < now <= row.due_at
        if len(found.moves) < SHOWN_MAX:
            found.moves.append(Move(row.ticket.number, row.metric, row.state, row.promise, promise, row.due_at, due))
    return found
