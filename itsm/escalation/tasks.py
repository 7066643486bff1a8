"""What beat starts. Bodies are thin; the loop process calls the same functions."""

from __future__ import annotations

from celery import shared_task

from itsm.escalation import audit
from itsm.escalation.fires import STEPS
from itsm.escalation.sweep import RUNS

#: Seconds of telling tickets: well within the interval of beat, so that the next sweep finds a worker.
_TELLING = 2.0


@shared_task
def sweep_escalations() -> int:
    """Claim the steps that are due, then do them. Answers how many were claimed."""
    done = RUNS.sweep()
    STEPS.tell_all(_TELLING)
    return done.fires


@shared_task
def audit_escalations() -> int:
    """Look for runs that should have gone on and have not. Answers how many."""
    return audit.audit_all()
