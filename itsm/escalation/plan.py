"""When the steps of a run are due. Counted from the step before, by the wall or by a calendar, never in closed hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from itsm.escalation.models import EscalationPolicyVersion, EscalationRun
from itsm.escalation.steps import Steps, read_steps
from itsm.sla.book import Kept, business_time
from itsm.sla.calendar import SECOND, from_micros, to_micros
from itsm.sla.models import SlaCalendarVersion

#: A step that is told later than this moves those after it: they keep their distance instead of coming all at once.
LATE = timedelta(seconds=60)


def _load(tenant_id: UUID, version_id: UUID) -> Steps:
    return read_steps(EscalationPolicyVersion.objects.get(tenant_id=tenant_id, pk=version_id).terms)


_steps: Kept[Steps] = Kept(1000, _load)


def steps_of(tenant_id: UUID, version_id: UUID) -> Steps:
    """The steps of a policy version."""
    return _steps.get(tenant_id, version_id)


def arm(run: EscalationRun, steps: Steps, anchor: datetime, first: int = 0) -> None:
    """Set the instants of the steps from ``first`` on, counted from ``anchor``; those before are over."""
    tenant_id = UUID(str(run.tenant_id))
    due: list[datetime | None] = [None] * first
    at: datetime | None = anchor
    for step in steps.steps[first:]:
        at = _after(tenant_id, steps, at, step.after, step.calendar or steps.calendar if step.business else None)
        due.append(at)
    if run.loop >= steps.loops:
        # The last pass ends with the instant at which nobody has answered.
        due.append(None if at is None else at + timedelta(seconds=steps.loop_gap))
    run.step_due, run.last_step = due, len(steps.steps)
    run.speaking = [number for number, step in enumerate(steps.steps) if step.speaks]
    run.next_due_at = min((instant for instant in due if instant is not None), default=None)
    run.attempts, run.last_error = 0, ""


def _after(tenant_id: UUID, steps: Steps, at: datetime | None, seconds: int, calendar: UUID | None) -> datetime | None:
    """``seconds`` after ``at``, moved to the next opening where the policy has hours. None: there is no such time."""
    if at is None:
        return None
    micros: int | None = to_micros(at) + seconds * SECOND
    if calendar is not None:
        version = _newest(tenant_id, calendar)
        micros = (
            to_micros(at)
            if version is None
            else business_time(tenant_id, version).deadline(to_micros(at), seconds * SECOND)
        )
    if micros is not None and steps.within_calendar is not None:
        version = _newest(tenant_id, steps.within_calendar)
        if version is not None:
            micros = business_time(tenant_id, version).next_open(micros)
    return None if micros is None else from_micros(micros)


def _newest(tenant_id: UUID, calendar_id: UUID) -> UUID | None:
    versions = SlaCalendarVersion.objects.filter(tenant_id=tenant_id, calendar_id=calendar_id)
    return versions.order_by("-version").values_list("pk", flat=True).first()
