"""In which language somebody reads a page: the person's own, else the browser's, else the desk's."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation

from itsm.kernel.actor import Actor
from itsm.tenancy.language import desk_language


def language_of(request: HttpRequest, actor: Actor) -> str:
    """The language of the answer. Programs that ask for none get the installation's, whichever desk they ask."""
    if actor.language:
        return actor.language
    found = translation.get_language() or settings.LANGUAGE_CODE
    if request.path_info.startswith("/api/") or _asked_for(request, found):
        return found
    return desk_language(actor.tenant_id)


def _asked_for(request: HttpRequest, language: str) -> bool:
    """Whether the browser wants this language, or it is only what remains when the browser wants none that there is."""
    if language != settings.LANGUAGE_CODE:
        return True
    wanted = request.headers.get("Accept-Language", "").lower().replace(";", "-").split(",")
    return any(part.strip().partition("-")[0] == language for part in wanted)
