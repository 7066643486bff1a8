"""``/metrics`` for Prometheus: requests of this server, the state of log and queue, what background tasks did.

No label names a tenant or a person: their number has no end, and who works how much is nobody's business here.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis import RedisError

from config.observe import shared
from itsm.escalation.audit import escalation_figures
from itsm.events.figures import log_figures
from itsm.notify.figures import ledger_figures
from itsm.sla.audit import Figures, sla_figures
from itsm.web.middleware import bearer

disable_created_metrics()

_REQUESTS = CollectorRegistry()
requests_total = Counter(
    "viable_requests", "Requests answered.", ("method", "route", "status"), registry=_REQUESTS
)  # fmt: skip
request_seconds = Histogram(
    "viable_request_seconds",
    "From the first middleware to the answer.",
    ("method", "route"),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=_REQUESTS,
)
#: Celery's queue, where tasks wait that no worker has taken.
_QUEUE = "celery"


class OutsideCollector(Collector):
    """What stands in the database and in Valkey when it is asked for. Either may be away: the rest is shown."""

    def collect(self) -> Iterator[Metric]:
        yield from self._log()
        yield from self._swept("sla", sla_figures, "clock", "Fired thresholds that no ticket was told.")
        yield from self._swept("escalation", escalation_figures, "run", "Steps that fired and were not taken.")
        yield from self._tasks()

    def _log(self) -> Iterator[Metric]:
        try:
            found, ledger = log_figures(), ledger_figures()
        except (DatabaseError, InterfaceError):
            yield GaugeMetricFamily("viable_database_up", "Whether the database answered.", 0)
            return
        now = datetime.now(UTC)
        yield GaugeMetricFamily("viable_database_up", "Whether the database answered.", 1)
        yield GaugeMetricFamily("viable_outbox_events", "Events that are not sealed yet.", found.outbox)
        yield GaugeMetricFamily(
            "viable_outbox_age_seconds", "Age of the oldest of them, 0 without any.", _age(found.outbox_since, now)
        )
        yield GaugeMetricFamily("viable_deliveries_pending", "Deliveries that are not done.", found.pending)
        yield GaugeMetricFamily(
            "viable_deliveries_overdue_seconds", "How long the oldest due delivery waits.", _age(found.due_since, now)
        )
        yield GaugeMetricFamily("viable_dispatches_planned", "Messages that shall leave.", ledger.planned)
        yield GaugeMetricFamily("viable_dispatches_held", "Messages that wait for a digest.", ledger.held)
        yield GaugeMetricFamily(
            "viable_dispatches_overdue_seconds", "How long the oldest due message waits.", _age(ledger.due_since, now)
        )
        yield GaugeMetricFamily("viable_deliveries_dead", "Deliveries that were given up.", found.dead)

    def _swept(self, name: str, figures: Callable[[], Figures], what: str, untold: str) -> Iterator[Metric]:
        try:
            found = figures()
        except (DatabaseError, InterfaceError):
            return  # Said above.
        now = datetime.now(UTC)
        yield GaugeMetricFamily(
            f"viable_{name}_lag_seconds",
            f"How long the oldest due {what} waits for the sweep, 0 without any.",
            _age(found.due_since, now),
        )
        yield GaugeMetricFamily(f"viable_{name}_untold_fires", untold, found.untold)
        yield GaugeMetricFamily(
            f"viable_{name}_untold_seconds", "Since when the oldest of them waits.", _age(found.untold_since, now)
        )
        yield GaugeMetricFamily(f"viable_{name}_parked_{what}s", f"Those {what}s that cannot be fired.", found.parked)

    def _tasks(self) -> Iterator[Metric]:
        try:
            waiting = shared.connected(settings.REDIS_URL).llen(_QUEUE)
            counted = list(shared.collect())
        except RedisError:
            yield GaugeMetricFamily("viable_queue_up", "Whether the queue answered.", 0)
            return
        yield GaugeMetricFamily("viable_queue_up", "Whether the queue answered.", 1)
        yield GaugeMetricFamily("viable_queue_tasks", "Tasks that no worker has taken yet.", float(waiting))
        yield from counted


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All of it, in Prometheus' text format. Whoever may not read it learns nothing of it."""
    if not _may_read(request):
        raise Http404
    requests = _REQUESTS
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        requests = CollectorRegistry()
        MultiProcessCollector(requests, folder)
    outside = CollectorRegistry()
    outside.register(OutsideCollector())
    text = generate_latest(requests) + generate_latest(outside)
    return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _may_read(request: HttpRequest) -> bool:
    secret = bearer(request)
    if settings.METRICS_TOKEN and secret is not None:
        return hmac.compare_digest(secret.encode(), settings.METRICS_TOKEN.encode())
    # Behind a proxy of this machine everybody comes from here.
    forwarded = settings.METRICS_ONLY_BY_TOKEN or "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return not forwarded and request.META.get("REMOTE_ADDR") in {"127.0.0.1", "::1"}
