"""In which language somebody reads a page: the person's own, else the browser's, else the desk's."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation

from itsm.access.actors import Preferences
from itsm.kernel.actor import Actor
from itsm.tenancy.language import desk_language, offered


def language_of(request: HttpRequest, actor: Actor) -> str:
    """The language of the answer. Programs that ask for none get the installation's, whichever desk they ask."""
    if actor.language:
        return actor.language
    found = translation.get_language() or settings.LANGUAGE_CODE
    if request.path_info.startswith("/api/") or _asked_for(request, found):
        return found
    # A signed-in reader's came along with the rights; a calendar program's address knows its person alone.
    preferences: Preferences | None = getattr(request, "preferences", None)
    return offered(preferences.desk_language) if preferences is not None else desk_language(actor.tenant_id)


def _asked_for(request: HttpRequest, language: str) -> bool:
    """Whether the browser wants this language, or it is only what remains when the browser wants none that there is."""
    if language != settings.LANGUAGE_CODE:
        return True
    wanted = request.headers.get("Accept-Language", "").lower().replace(";", "-").split(",")
    return any(part.strip().partition("-")[0] == language for part in wanted)
