"""The language of a desk: for whoever has chosen none, where no browser says what it wants (mails, the last resort of pages)."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from itsm.tenancy.models import TenantSettings


def desk_language(tenant_id: UUID) -> str:
    """The code of the desk's language, as offered() has it."""
    return offered(TenantSettings.objects.filter(tenant_id=tenant_id).values_list("language", flat=True).first())


def offered(language: str | None) -> str:
    """The language; the installation's instead of none, and of one that is not offered any more."""
    return language if language is not None and language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
