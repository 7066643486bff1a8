"""The one question that escalation asks, at the moment at which somebody is to be told."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from itsm.oncall.models import OnCallSchedule
from itsm.oncall.schedules import plan_of
from itsm.tenancy.models import Person


def on_call(schedule_id: UUID, at: datetime, level: int = 1) -> list[Person]:
    """Who is on call at ``at`` (aware). Call it inside the tenant; it asks nobody's rights.

    Level 1 is the override in force or the top layer that has somebody, level 2 the next layer below with somebody else, and
    so on. People who have left are passed over. Empty: a gap, a level that there is not, a schedule that is not in use or
    that does not exist; the caller goes to its next fallback and says so. Raises ValueError for a level below 1 or a
    naive time.
    """
    if level < 1 or at.tzinfo is None:
        raise ValueError("on_call() takes an aware time and a level from 1 on")
    schedule = OnCallSchedule.objects.filter(pk=schedule_id).first()
    if schedule is None:
        return []
    plan = plan_of(schedule, at)
    duties = plan.at(at).duties
    person = duties[level - 1].person if level <= len(duties) else None
    return [] if person is None else [plan.people[person]]
