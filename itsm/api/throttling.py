"""The API's rate limits, per caller and per tenant, and the headers that tell what is left."""

from __future__ import annotations

from django.conf import settings

from itsm.access import limits
from itsm.access.limits import Allowance, Limit
from itsm.kernel.actor import Actor


def take(actor: Actor) -> list[Allowance]:
    """Count this request against the caller's and the tenant's limit; an empty list when it could not be counted."""
    caller = actor.token_id or actor.person_id or actor.name
    of = settings.API_RATE_LIMITS
    return limits.take(
        Limit("token", f"{actor.tenant_id}:{caller}", *of["token"]),
        Limit("tenant", str(actor.tenant_id), *of["tenant"]),
    )


def headers(allowances: list[Allowance]) -> dict[str, str]:
    """RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)."""
    if not allowances:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{a.name}";q={a.quota};w={a.window}' for a in allowances),
        "RateLimit": ", ".join(f'"{a.name}";r={max(0, a.left)};t={a.reset}' for a in allowances),
    }
