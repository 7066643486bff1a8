"""What each request leaves behind for the operator: one line in the log and a count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from config.observe.metrics import request_seconds, requests_total

logger = logging.getLogger("viable.request")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: The route of what was answered before any route was looked for: static files, no entry, a wrong address.
NO_ROUTE = "-"


def route_of(request: HttpRequest) -> str:
    """The pattern of the address, never the address itself: that may hold numbers, words and secrets."""
    match = request.resolver_match
    return NO_ROUTE if match is None else f"/{match.route}"


class ObserveMiddleware:
    """Writes the access line and counts, whatever the answer was. What clients do wrong is no warning."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - begun
        method = request.method if request.method in _METHODS else "OTHER"
        route = route_of(request)
        requests_total.labels(method, route, str(response.status_code)).inc()
        request_seconds.labels(method, route).observe(seconds)
        logger.info(
            "request",
            extra={
                "method": method,
                "route": route,
                "status": response.status_code,
                "ms": round(seconds * 1000, 1),
            },
        )
        return response
