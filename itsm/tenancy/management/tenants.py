"""The tenant that a management command is for."""

from __future__ import annotations

from django.core.management.base import CommandError

from itsm.tenancy.models import Tenant


def tenant_called(slug: str, *, closed_too: bool = False) -> Tenant:
    """The active tenant with this slug, or, with ``closed_too``, any. Raises CommandError (exit status 2)."""
    tenants = Tenant.objects.filter(slug=slug) if closed_too else Tenant.objects.filter(slug=slug, is_active=True)
    found = tenants.first()
    if found is None:
        raise CommandError(f"There is no {'' if closed_too else 'active '}service desk {slug!r}.", returncode=2)
    return found
