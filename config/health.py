"""Probes. Live says that the process answers; ready says that it can serve: database, schema, audit."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from redis import Redis, RedisError


@require_safe
def live(_request: HttpRequest) -> JsonResponse:
    """Touches nothing: a slow database must not get the process killed."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """200 when requests can be served, 503 otherwise.

    The queue is reported and is no reason to be unready: writes go to the outbox.
    """
    checks = {"database": _database(), "queue": _queue()}
    served = checks["database"] == "ok"
    return JsonResponse({"status": "ok" if served else "unavailable", "checks": checks}, status=200 if served else 503)


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "unreachable"
    return "ok" if not pending else "migrations are missing: run manage.py migrate"


def _queue() -> str:
    try:
        client = Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
        client.ping()
        client.close()
    except RedisError:
        return "unreachable"
    return "ok"
