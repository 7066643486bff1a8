"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from itsm.access.actors import Preferences
from itsm.access.decide import allows
from itsm.web.pages import wants_part, works_the_queue
from itsm.web.places import places_of
from itsm.web.shortcuts import SHORTCUTS

#: Whoever has one of these finds the way to the configuration in the header.
_CONFIGURES = ("settings.manage", "service.manage", "audit.read")


def layout(request: HttpRequest) -> str:
    """The template around a page's content: nothing, where the script puts the answer into a page that stands."""
    return "itsm/part.html" if wants_part(request) else "itsm/base.html"


def shell(request: HttpRequest) -> dict[str, Any]:
    """Tenant and actor of the request (None outside a tenant), and which rooms of the product the actor may enter."""
    actor = getattr(request, "actor", None)
    return {
        "tenant": getattr(request, "tenant", None),
        "actor": actor,
        "preferences": getattr(request, "preferences", Preferences()),
        "layout": layout(request),
        "shortcuts": SHORTCUTS,
        "places": places_of(actor) if actor is not None else [],
        "rooms": {
            "queue": actor is not None and works_the_queue(actor),
            "admin": actor is not None and any(allows(actor, right) for right in _CONFIGURES),
            "tokens": actor is not None and allows(actor, "token.create"),
        },
    }
