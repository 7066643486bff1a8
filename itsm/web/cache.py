"""A cache that nobody waits for: without Valkey it is empty, and what it counts is not limited."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
#: After a failure Valkey is left alone this long (seconds): one request waits for it, not each step of each request.
PAUSE = 5.0


class OpenCache(RedisCache):
    """Django's, but reading and writing never fail: a Valkey that is down must not lock anybody out.

    Limits on signing in are open for as long; the price of each attempt (hashing a password) and the second step stay.
    """

    _silent_until = 0.0

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """True when it cannot be known, so that a lock is taken and not waited for."""
        return bool(self._try(super().add, True, args, kwargs))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._try(super().get, default, (key, default, version), {})

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._try(super().set, None, args, kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._try(super().delete, False, args, kwargs))

    def _try(self, ask: Callable[..., Any], otherwise: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # On the class: every thread has a cache object of its own, and all of them talk to one Valkey.
        if time.monotonic() < OpenCache._silent_until:
            return otherwise
        try:
            return ask(*args, **kwargs)
        except (RedisError, OSError) as error:
            OpenCache._silent_until = time.monotonic() + PAUSE
            logger.warning("the cache cannot be reached, limits on signing in are open: %s", error)
            return otherwise
