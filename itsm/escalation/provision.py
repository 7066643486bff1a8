"""What a new tenant has before anybody has decided anything: critical incidents call the team, then those who lead it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from itsm.escalation.models import EscalationPolicy, EscalationPolicyVersion
from itsm.kernel import clock

NAME = "Critical incidents"
_P1 = {"priority": [1]}


def terms(*, schedule: UUID | None = None, wait: str = "15m") -> dict[str, Any]:
    """The policy: at 75% of a target and when it is missed, the team; then those on call, if there are any; then managers."""
    told_next: list[dict[str, Any]] = [{"action": "notify_managers"}]
    if schedule is not None:
        told_next = [{"action": "notify_on_call", "schedule": str(schedule), "level": 1}]
    steps = [
        {"do": [{"action": "notify_team"}]},
        {"after": wait, "do": told_next},
    ]
    if schedule is not None:
        steps.append({"after": wait, "do": [{"action": "notify_managers"}]})
    return {
        "triggers": [
            {"sla": {"metric": metric, "threshold": threshold}, "when": _P1}
            for metric in ("response", "resolution")
            for threshold in ("75%", "breached")
        ],
        "steps": steps,
        "loops": 1,
        "loop_gap": wait,
        "on_exhausted": [{"action": "notify_managers"}],
        "ack_timeout": "1h",
    }


def provision(tenant_id: UUID) -> None:
    """The policy for critical incidents. Safe to repeat."""
    policy, _ = EscalationPolicy.objects.get_or_create(tenant_id=tenant_id, name=NAME)
    EscalationPolicyVersion.objects.get_or_create(
        tenant_id=tenant_id, policy=policy, version=1, defaults={"terms": terms(), "created_at": clock.now()}
    )
