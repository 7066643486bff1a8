"""What beat starts. Bodies are thin; the loop process calls the same functions."""

from __future__ import annotations

from celery import shared_task

from itsm.sla import aftermath, audit, fires
from itsm.sla.sweep import sweep

#: Seconds of telling tickets: well within the interval of beat, so that the next sweep finds a worker.
_TELLING = 2.0


@shared_task
def sweep_clocks() -> int:
    """Fire what is due, then tell the tickets. Answers how many thresholds fired."""
    done = sweep()
    fires.tell_all(_TELLING)
    return done.fires


@shared_task
def audit_clocks() -> int:
    """Look for clocks that should have fired and have not. Answers how many; each tenant's admin home shows its own."""
    return audit.audit_all()


@shared_task
def recompute_clocks() -> int:
    """Bring clocks up to calendars and policies that changed, where the event of the change did not. Answers how many."""
    return aftermath.catch_up()
