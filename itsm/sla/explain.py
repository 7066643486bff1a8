"""Why a clock stands where it stands: every interval since it began, by which hours and which promise, to the microsecond.

Elapsed, left and per cent are computed when somebody asks; no row holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from itsm.access.decide import authorize
from itsm.kernel import clock as time_of_commands
from itsm.kernel.actor import Actor
from itsm.sla.book import business_time, terms_of
from itsm.sla.calendar import SECOND, to_micros
from itsm.sla.clock import ClockState
from itsm.sla.models import SlaCalendarVersion, SlaClock, SlaClockEvent, SlaFire, SlaPolicyVersion
from itsm.sla.rows import computed
from itsm.sla.targets import SECONDS_MAX
from itsm.sla.terms import write_threshold
from itsm.tickets.models import Ticket

_STANDS = {"pause": "paused", "stop": "stopped", "cancel": "stopped"}


@dataclass(frozen=True, slots=True)
class Ran:
    """A version by its name and number, and where it can be looked up."""

    id: UUID
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch between two operations. ``kind`` is running, paused or stopped; ``worked`` is its business time in microseconds."""

    begin: datetime
    end: datetime | None
    kind: str
    operation: str
    reason: str
    worked: int
    calendar: Ran
    policy: Ran
    promise: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold of the clock: when it is or was due, and when it was fired."""

    written: str
    due_at: datetime | None
    fired_at: datetime | None
    coalesced: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """A clock as it stands ``at`` an instant. Spans are microseconds of business time; None stands for never."""

    clock: SlaClock
    at: datetime
    calendar: Ran
    zone: str
    policy: Ran
    target: int | None
    elapsed: int
    left: int | None
    percent: int | None
    intervals: tuple[Interval, ...]
    thresholds: tuple[Threshold, ...]

    @property
    def verdict(self) -> str:
        """running, paused, met, missed or canceled; breached for one that runs or waits and is too late."""
        if self.clock.state in (ClockState.RUNNING, ClockState.PAUSED) and self.late:
            return "breached"
        return self.clock.state

    @property
    def late(self) -> bool:
        return self.clock.breached_at is not None or (self.clock.due_at is not None and self.clock.due_at < self.at)


def explain(actor: Actor, ticket: Ticket, at: datetime | None = None) -> list[Explanation]:
    """All clocks of a ticket that the actor has found through visible_to(). Raises Forbidden for who only waits for it."""
    authorize(actor, "ticket.read_internal", ticket)
    at = at or time_of_commands.now()
    rows = list(SlaClock.objects.filter(tenant_id=actor.tenant_id, ticket_id=ticket.pk).order_by("started_at", "pk"))
    ids = [row.pk for row in rows]
    events: dict[UUID, list[SlaClockEvent]] = {pk: [] for pk in ids}
    for event in SlaClockEvent.objects.filter(tenant_id=actor.tenant_id, clock_id__in=ids).order_by("generation"):
        events[event.clock_id].append(event)
    fires: dict[UUID, list[SlaFire]] = {pk: [] for pk in ids}
    for fire in SlaFire.objects.filter(tenant_id=actor.tenant_id, clock_id__in=ids).order_by("id"):
        fires[fire.clock_id].append(fire)
    names = _Names(actor.tenant_id, rows, [one for found in events.values() for one in found])
    return [_explained(actor.tenant_id, row, events[row.pk], fires[row.pk], names, at) for row in rows]


class _Names:
    """Names and numbers of all versions that are spoken of, by two statements."""

    def __init__(self, tenant_id: UUID, rows: Sequence[SlaClock], events: Sequence[SlaClockEvent]) -> None:
        calendars = {row.calendar_version_id for row in rows} | {event.calendar_version_id for event in events}
        policies = {row.policy_version_id for row in rows} | {event.policy_version_id for event in events}
        self.zones: dict[UUID, str] = {}
        self.calendars: dict[UUID, Ran] = {}
        for version in SlaCalendarVersion.objects.filter(tenant_id=tenant_id, pk__in=calendars).select_related(
            "calendar"
        ):
            self.calendars[version.pk] = Ran(version.calendar_id, version.calendar.name, version.version)
            self.zones[version.pk] = version.calendar.time_zone
        self.policies = {
            version.pk: Ran(version.policy_id, version.policy.name, version.version)
            for version in SlaPolicyVersion.objects.filter(tenant_id=tenant_id, pk__in=policies).select_related(
                "policy"
            )
        }


def _explained(
    tenant_id: UUID, row: SlaClock, events: list[SlaClockEvent], fires: list[SlaFire], names: _Names, at: datetime
) -> Explanation:
    terms, time = terms_of(tenant_id, row.policy_version_id), business_time(tenant_id, row.calendar_version_id)
    clock = computed(row, terms)
    elapsed = clock.elapsed_at(to_micros(at), time)
    target = None if row.target >= SECONDS_MAX * SECOND else row.target
    last = {fire.step: fire for fire in fires}
    return Explanation(
        clock=row,
        at=at,
        calendar=names.calendars[row.calendar_version_id],
        zone=names.zones[row.calendar_version_id],
        policy=names.policies[row.policy_version_id],
        target=target,
        elapsed=elapsed,
        left=None if target is None else target - elapsed,
        percent=None if not target else elapsed * 100 // target,
        intervals=tuple(_intervals(tenant_id, events, names, at)),
        thresholds=tuple(
            Threshold(
                write_threshold(threshold),
                due_at=_due(row, number, last),
                fired_at=last[number].fired_at if number in last else None,
                coalesced=number in last and last[number].coalesced,
            )
            for number, threshold in enumerate(terms.thresholds)
        ),
    )


def _due(row: SlaClock, number: int, fires: dict[int, SlaFire]) -> datetime | None:
    armed: datetime | None = row.step_due[number] if number < len(row.step_due) else None
    return armed or (fires[number].due_at if number in fires else None)


def _intervals(tenant_id: UUID, events: list[SlaClockEvent], names: _Names, at: datetime) -> list[Interval]:
    """Between each operation and the next; what follows the last lasts until now, or for good when the clock has ended."""
    found: list[Interval] = []
    kind = "running"
    for number, event in enumerate(events):
        following = events[number + 1] if number + 1 < len(events) else None
        if event.operation not in ("retarget", "calendar"):
            kind = _STANDS.get(event.operation, "running")
        if kind == "stopped" and following is None:
            break
        end = following.at if following is not None else at
        worked = 0
        if kind == "running":
            time = business_time(tenant_id, event.calendar_version_id)
            worked = time.elapsed(to_micros(event.at), to_micros(end))
        found.append(
            Interval(
                begin=event.at,
                end=None if following is None else end,
                kind=kind,
                operation=event.operation,
                reason=event.reason,
                worked=worked,
                calendar=names.calendars[event.calendar_version_id],
                policy=names.policies[event.policy_version_id],
                promise=event.promise,
            )
        )
    return found


def span_text(micros: int) -> str:
    """Business time as people read it: ``1 h 30 min``, ``-5 min``, seconds when there is less than a minute."""
    sign, seconds = ("-", -micros // SECOND) if micros < 0 else ("", micros // SECOND)
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return f"{sign}{hours} h {minutes:02d} min"
    return f"{sign}{minutes} min" if minutes else f"{sign}{seconds} s"


def as_data(found: Explanation) -> dict[str, Any]:
    """An explanation as JSON knows it; instants stay datetimes, spans are seconds with a fraction."""
    row = found.clock
    return {
        "id": row.pk,
        "metric": row.metric,
        "state": row.state,
        "verdict": found.verdict,
        "promise": row.promise,
        "cycle": row.cycle,
        "policy": _named(found.policy),
        "calendar": {**_named(found.calendar), "time_zone": found.zone},
        "started_at": row.started_at,
        "paused_at": row.paused_at,
        "stopped_at": row.stopped_at,
        "due_at": row.due_at,
        "breached_at": row.breached_at,
        "target_seconds": None if found.target is None else found.target / SECOND,
        "elapsed_seconds": found.elapsed / SECOND,
        "left_seconds": None if found.left is None else found.left / SECOND,
        "percent": found.percent,
        "at": found.at,
        "intervals": [
            {
                "from": one.begin,
                "to": one.end,
                "kind": one.kind,
                "operation": one.operation,
                "reason": one.reason,
                "worked_seconds": one.worked / SECOND,
                "calendar": _named(one.calendar),
                "policy": _named(one.policy),
                "promise": one.promise,
            }
            for one in found.intervals
        ],
        "thresholds": [
            {"threshold": one.written, "due_at": one.due_at, "fired_at": one.fired_at, "coalesced": one.coalesced}
            for one in found.thresholds
        ],
    }


def _named(ran: Ran) -> dict[str, Any]:
    return {"id": ran.id, "name": ran.name, "version": ran.version}
