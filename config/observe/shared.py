"""Counts of what background processes did, kept in Valkey, so that any web process can show them.

Worker processes come and go by the hundred a day and live in another container than the web server: files by process
would pile up, and nobody could read them there. A count that is lost with Valkey begins again at zero, as counters may.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import cast

from django.conf import settings
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from redis import Redis, RedisError

_KEY = "viable:metrics"
TASK_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 300.0)
LAG_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0)


@cache
def connected(url: str) -> Redis:
    """A client for the queue's Valkey that waits for nobody."""
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, decode_responses=True)


def _bucket(buckets: tuple[float, ...], seconds: float) -> str:
    place = bisect_left(buckets, seconds)
    return str(buckets[place]) if place < len(buckets) else "+Inf"


def _add(*counts: tuple[str, float]) -> None:
    try:
        pipe = connected(settings.REDIS_URL).pipeline(transaction=False)
        for field, amount in counts:
            pipe.hincrbyfloat(_KEY, field, amount)
        pipe.execute()
    except RedisError:
        # A count is never a reason to fail; that Valkey is away is said by whoever needs it.
        return


def task_ended(name: str, outcome: str, seconds: float) -> None:
    """Count a task that came to its end in this process."""
    _add(
        (f"task|{name}|{outcome}", 1),
        (f"task_seconds|{name}|{_bucket(TASK_BUCKETS, seconds)}", 1),
        (f"task_seconds|{name}|sum", seconds),
    )


def sealed(seconds: float) -> None:
    """Count a batch of events that the relay sealed, with the time since the oldest of them was written."""
    _add((f"lag||{_bucket(LAG_BUCKETS, seconds)}", 1), ("lag||sum", seconds))


def dispatched(channel: str, status: str) -> None:
    """Count a message that came to its end in the ledger: sent, failed or dropped."""
    _add((f"dispatch|{channel}|{status}", 1))


def collect() -> Iterator[Metric]:
    """What was counted so far. Raises RedisError."""
    found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    counted = cast("dict[str, str]", connected(settings.REDIS_URL).hgetall(_KEY))
    for field, value in counted.items():
        metric, label, detail = field.split("|")
        found[metric][label, detail] = float(value)
    tasks = CounterMetricFamily("viable_tasks", "Background tasks that ended.", labels=("task", "outcome"))
    for (name, outcome), count in sorted(found["task"].items()):
        tasks.add_metric((name, outcome), count)
    yield tasks
    seconds = HistogramMetricFamily("viable_task_seconds", "How long background tasks ran.", labels=("task",))
    for name in sorted({name for name, _ in found["task_seconds"]}):
        seconds.add_metric((name,), *_histogram(found["task_seconds"], name, TASK_BUCKETS))
    yield seconds
    left = CounterMetricFamily("viable_dispatches", "Messages by their end.", labels=("channel", "status"))
    for (channel, status), count in sorted(found["dispatch"].items()):
        left.add_metric((channel, status), count)
    yield left
    lag = HistogramMetricFamily("viable_relay_lag_seconds", "From an event's writing to its seal, by batch.")
    lag.add_metric((), *_histogram(found["lag"], "", LAG_BUCKETS))
    yield lag


def _histogram(
    found: dict[tuple[str, str], float], label: str, buckets: tuple[float, ...]
) -> tuple[list[tuple[str, float]], float]:
    """Cumulated buckets, as Prometheus wants them, and the sum."""
    cumulated, total = [], 0.0
    for bound in (*map(str, buckets), "+Inf"):
        total += found.get((label, bound), 0)
        cumulated.append((bound, total))
    return cumulated, found.get((label, "sum"), 0.0)
