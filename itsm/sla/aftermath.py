"""What follows a change of calendars and policies beyond its first moment: all the other open clocks, soon and in batches."""

from __future__ import annotations

import logging
from typing import cast
from uuid import UUID

from itsm.events.models import Event
from itsm.sla.recompute import recompute_calendars
from itsm.sla.rematch import rematch_metric, withdraw_inactive
from itsm.tenancy.sweep import all_tenants, for_each_tenant

logger = logging.getLogger(__name__)

#: Seconds that one event may take; what is left then, the next round finds.
_BUDGET = 120.0


def follow_change(event: Event) -> None:
    """Consumer: bring the open clocks of the tenant up to a changed calendar or policy. Safe to repeat."""
    payload = event.payload
    tenant_id = cast(UUID, event.tenant_id)
    if event.kind == "sla.calendar_changed":
        if "version" in payload:
            recompute_calendars(tenant_id, budget=_BUDGET)
        return
    if payload.get("apply"):
        rematch_metric(tenant_id, payload["metric"])
    if "is_active" in (payload.get("fields") or ()):
        withdraw_inactive(tenant_id)


def catch_up() -> int:
    """Find the clocks of all tenants that still go by what holds no more, whoever was interrupted. Answers how many."""
    return for_each_tenant("recomputing clocks", all_tenants(), _catch_up)


def _catch_up(tenant_id: UUID) -> int:
    done = recompute_calendars(tenant_id, budget=_BUDGET)
    if done.failed:
        logger.error("clocks cannot be recomputed", extra={"tenant_id": str(tenant_id), "clocks": done.failed})
    return done.clocks + withdraw_inactive(tenant_id, budget=_BUDGET)
