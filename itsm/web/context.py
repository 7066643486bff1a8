"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from itsm.access.decide import allows
from itsm.web.pages import works_the_queue


def shell(request: HttpRequest) -> dict[str, Any]:
    """Tenant and actor of the request (None outside a tenant), and which rooms of the product the actor may enter."""
    actor = getattr(request, "actor", None)
    return {
        "tenant": getattr(request, "tenant", None),
        "actor": actor,
        "rooms": {
            "queue": actor is not None and works_the_queue(actor),
            "admin": actor is not None and allows(actor, "settings.read"),
            "create": actor is not None and allows(actor, "incident.create"),
            "tokens": actor is not None and allows(actor, "token.create"),
        },
    }
