"""What a new tenant starts with, before any desk works in it."""

from __future__ import annotations

from uuid import UUID

from itsm.tenancy.models import TenantSettings


def provision(tenant_id: UUID) -> None:
    """The settings that hold for everybody. Safe to repeat."""
    TenantSettings.objects.get_or_create(tenant_id=tenant_id)
