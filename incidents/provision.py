"""What a new tenant gets of incidents."""

from __future__ import annotations

from uuid import UUID

from incidents.flow import KIND, PREFIX
from itsm.tickets.models import NumberSeries, WorkKind


def provision(tenant_id: UUID) -> None:
    """The kind ``incident`` and its number series, whose first number is INC0001001."""
    WorkKind.objects.get_or_create(tenant_id=tenant_id, key=KIND, defaults={"name": "Incident", "prefix": PREFIX})
    NumberSeries.objects.get_or_create(tenant_id=tenant_id, kind=KIND)
