"""How often somebody may ask: counted in Valkey, per window.

When Valkey is down nothing is limited: limits protect, they do not decide.
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

from itsm.kernel.errors import DomainError

logger = logging.getLogger(__name__)
#: After a failure the counter is left alone this long (seconds), so that a hanging Valkey costs one wait and not one per request.
PAUSE = 5.0
_silent_until = 0.0


@dataclass(frozen=True, slots=True)
class Limit:
    """``quota`` requests per ``window`` seconds for whoever ``key`` names; ``name`` says in words whose limit it is."""

    name: str
    key: str
    quota: int
    window: int


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


def take(*limits: Limit) -> list[Allowance]:
    """Count this request against each limit; an empty list when it could not be counted."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return []
    try:
        return _count([_place(limit) for limit in limits])
    except (RedisError, OSError) as error:
        _silent_until = time.monotonic() + PAUSE
        logger.warning("rate limits are open, the cache cannot be reached: %s", error)
        return []


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one limit is counted in the present window."""

    limit: Limit
    key: str
    reset: int


def _place(limit: Limit) -> _Place:
    now = time.time()
    bucket = int(now // limit.window)
    key = cache.make_key(f"rate:{limit.name}:{limit.key}:{bucket}")
    return _Place(limit, key, max(1, int((bucket + 1) * limit.window - now)))


def _count(places: list[_Place]) -> list[Allowance]:
    """Count in all places in one round trip; a second one makes those that are new end with their window."""
    counter = _counter(settings.CACHES["default"]["LOCATION"])
    steps = counter.pipeline(transaction=False)
    for place in places:
        steps.incr(place.key)
    counted = list(zip(places, steps.execute(), strict=True))
    for place, used in counted:
        if used == 1:
            counter.expire(place.key, place.limit.window * 2)
    return [
        Allowance(limit.name, limit.quota, limit.window, limit.quota - used if used <= limit.quota else -1, place.reset)
        for place, used in counted
        for limit in (place.limit,)
    ]


@functools.cache
def _counter(url: str) -> Redis:
    # One client for all threads: Django's cache makes a new one for each call, which costs more than the call.
    return Redis.from_url(url, **settings.CACHES["default"]["OPTIONS"])


def refuse_spent(allowances: list[Allowance]) -> None:
    """Raise TooManyRequests when a limit is used up."""
    spent = [allowance for allowance in allowances if allowance.left < 0]
    if spent:
        raise TooManyRequests(max(spent, key=lambda a: a.reset))
