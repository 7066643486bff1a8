"""Refusals as pages: what happened, why, and what to do now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from itsm.api.errors import status_of
from itsm.kernel.errors import DomainError


def error_page(request: HttpRequest, error: DomainError | None, *, status: int | None = None) -> HttpResponse:
    """The page for a refusal (or for a plain status). Marks the request, so that the door records the refusal."""
    if error is not None:
        request.refusal = error  # type: ignore[attr-defined]
    return render(
        request,
        "itsm/error.html",
        {"detail": error.detail if error else _("There is no such page, or you may not see it.")},
        status=status or (status_of(error) if error else 500),
    )
