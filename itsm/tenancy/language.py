"""The language of a desk: for whoever has chosen none, where no browser says what it wants (mails, the last resort of pages)."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from itsm.tenancy.models import TenantSettings


def desk_language(tenant_id: UUID) -> str:
    """The code of the desk's language; the installation's where the desk has none, or one that is not offered any more."""
    found = TenantSettings.objects.filter(tenant_id=tenant_id).values_list("language", flat=True).first()
    return found if found in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
