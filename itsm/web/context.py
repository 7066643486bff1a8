"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Tenant and actor of the request, both None outside a tenant."""
    return {"tenant": getattr(request, "tenant", None), "actor": getattr(request, "actor", None)}
