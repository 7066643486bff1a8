"""Rate limits per caller and per tenant, counted in Valkey.

When Valkey is down they are open: limits protect, they do not decide.
"""

from __future__ import annotations

import functools
import logging
import time
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from redis import Redis
from redis.exceptions import RedisError

from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError

logger = logging.getLogger(__name__)
#: After a failure the counter is left alone this long (seconds), so that a hanging Valkey costs one wait and not one per request.
PAUSE = 5.0
_silent_until = 0.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of one limit: ``quota`` requests per ``window`` seconds, ``reset`` seconds until it starts anew."""

    name: str
    quota: int
    window: int
    left: int
    reset: int


class TooManyRequests(DomainError):
    """A limit is used up; ``wait`` is the number of seconds until the next window."""

    code = "rate_limited"

    def __init__(self, spent: Allowance) -> None:
        super().__init__(
            f"More than {spent.quota} requests in {spent.window} seconds for this {spent.name}. Try again in {spent.reset} s.",
            limit=spent.name,
        )
        self.wait = spent.reset


def take(actor: Actor) -> list[Allowance]:
    """Count this request against the caller's and the tenant's limit; an empty list when it could not be counted."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return []
    caller = actor.token_id or actor.person_id or actor.name
    places = [_place("token", f"{actor.tenant_id}:{caller}"), _place("tenant", str(actor.tenant_id))]
    try:
        return _count(places)
    except (RedisError, OSError) as error:
        _silent_until = time.monotonic() + PAUSE
        logger.warning("rate limits are open, the cache cannot be reached: %s", error)
        return []


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one limit is counted in the present window."""

    name: str
    key: str
    quota: int
    window: int
    reset: int


def _place(name: str, key: str) -> _Place:
    quota, window = settings.API_RATE_LIMITS[name]
    now = time.time()
    bucket = int(now // window)
    return _Place(
        name, cache.make_key(f"rate:{name}:{key}:{bucket}"), quota, window, max(1, int((bucket + 1) * window - now))
    )


def _count(places: list[_Place]) -> list[Allowance]:
    """Count in all places in one round trip; a second one makes those that are new end with their window."""
    counter = _counter(settings.CACHES["default"]["LOCATION"])
    steps = counter.pipeline(transaction=False)
    for place in places:
        steps.incr(place.key)
    counted = list(zip(places, steps.execute(), strict=True))
    for place, used in counted:
        if used == 1:
            counter.expire(place.key, place.window * 2)
    return [
        Allowance(place.name, place.quota, place.window, place.quota - used if used <= place.quota else -1, place.reset)
        for place, used in counted
    ]


@functools.cache
def _counter(url: str) -> Redis:
    # One client for all threads: Django's cache makes a new one for each call, which costs more than the call.
    return Redis.from_url(url, **settings.CACHES["default"]["OPTIONS"])


def headers(allowances: list[Allowance]) -> dict[str, str]:
    """RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)."""
    if not allowances:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{a.name}";q={a.quota};w={a.window}' for a in allowances),
        "RateLimit": ", ".join(f'"{a.name}";r={max(0, a.left)};t={a.reset}' for a in allowances),
    }


def refuse_spent(allowances: list[Allowance]) -> None:
    """Raise TooManyRequests when a limit is used up."""
    spent = [allowance for allowance in allowances if allowance.left < 0]
    if spent:
        raise TooManyRequests(max(spent, key=lambda a: a.reset))
