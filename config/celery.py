"""The Celery app: settings that survive crashes, and the beat schedule."""

from __future__ import annotations

import logging
import os
import time
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import worker_init
from kombu import Connection, pools
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

from django.conf import settings

from config import heartbeat
from config.observe import tasks as _observed  # noqa: F401 - connects to the signals

logger = logging.getLogger(__name__)


def broker_url(redis_url: str) -> str:
    """Kombu's spelling of a Redis address; ``unix:///path?db=0`` becomes ``redis+socket:///path?virtual_host=0``."""
    if redis_url.startswith("unix://"):
        path, _, query = redis_url.removeprefix("unix://").partition("?")
        database = dict(part.split("=", 1) for part in query.split("&") if "=" in part).get("db", "0")
        return f"redis+socket://{path}?virtual_host={database}"
    return redis_url


app = Celery("viable")
app.conf.update(
    broker_url=broker_url(settings.REDIS_URL),
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 900,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "health_check_interval": 25,
    },
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_time_limit=300,
    task_soft_time_limit=270,
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
    worker_max_memory_per_child=300_000,
    worker_soft_shutdown_timeout=20,
    timezone="UTC",
    enable_utc=True,
    imports=[
        "itsm.api.tasks",
        "itsm.escalation.tasks",
        "itsm.events.tasks",
        "itsm.sla.tasks",
        "itsm.tickets.tasks",
        "itsm.notify.tasks",
        "incidents.tasks",
    ],
    beat_schedule={
        # `expires`: a sweep that could not start in time is replaced by the next one and never piles up.
        "relay": {"task": "itsm.events.tasks.relay_all", "schedule": 1.0, "options": {"expires": 2}},
        # The loop process does the same each second; this is for the installation that has only workers.
        "sla": {"task": "itsm.sla.tasks.sweep_clocks", "schedule": 5.0, "options": {"expires": 4}},
        "sla_audit": {"task": "itsm.sla.tasks.audit_clocks", "schedule": 60.0, "options": {"expires": 60}},
        "escalation": {"task": "itsm.escalation.tasks.sweep_escalations", "schedule": 5.0, "options": {"expires": 4}},
        "escalation_audit": {
            "task": "itsm.escalation.tasks.audit_escalations",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "send": {"task": "itsm.notify.tasks.send_all", "schedule": 2.0, "options": {"expires": 3}},
        "prune_notifications": {
            "task": "itsm.notify.tasks.prune_all",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "sla_recompute": {
            "task": "itsm.sla.tasks.recompute_clocks",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "prune": {"task": "itsm.events.tasks.prune_all", "schedule": 3600.0, "options": {"expires": 3600}},
        "prune_idempotency_keys": {
            "task": "itsm.api.tasks.prune_idempotency_keys",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "retention": {"task": "itsm.tickets.tasks.retire_all", "schedule": 3600.0, "options": {"expires": 3600}},
        "auto_close": {"task": "incidents.tasks.auto_close_all", "schedule": 300.0, "options": {"expires": 300}},
        "review_reminders": {
            "task": "incidents.tasks.remind_of_reviews",
            "schedule": 300.0,
            "options": {"expires": 300},
        },
    },
)
heartbeat.install(app)


#: After a failure the broker is left alone for this long; each further failure doubles it, up to the last value.
_SILENCE = (5.0, 300.0)
_silent_until = 0.0
_silence = _SILENCE[0]


#: For somebody who is waiting for a page. Without max_retries, kombu tries to connect again and again for four seconds.
_IMPATIENT = {
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "connect_retries_timeout": 1,
}


def _impatient() -> Connection:
    """The broker, with little patience; equal connections share a pool."""
    return Connection(app.conf.broker_url, transport_options={**app.conf.broker_transport_options, **_IMPATIENT})


#: Within this many seconds a tenant is woken once: what the relay then started does not see, the sweep does, a second later.
_WAKE_PAUSE = 0.1
_woken: dict[tuple[str, UUID], float] = {}


def wake_relay(tenant_id: UUID) -> None:
    """The fast path: ask a worker to relay this tenant now. A broker that is down costs one short wait, then none for a while."""
    _wake("itsm.events.tasks.relay_tenant", tenant_id)


def wake_sender(tenant_id: UUID) -> None:
    """The same for what was planned for this tenant's people."""
    _wake("itsm.notify.tasks.send_tenant", tenant_id)


def _wake(task: str, tenant_id: UUID) -> None:
    global _silent_until, _silence
    now = time.monotonic()
    if now < _silent_until or now < _woken.get((task, tenant_id), 0.0) + _WAKE_PAUSE:
        return
    if len(_woken) > 10_000:
        _woken.clear()
    _woken[task, tenant_id] = now
    try:
        with pools.producers[_impatient()].acquire(block=True, timeout=1) as producer:
            app.send_task(task, args=[str(tenant_id)], expires=30, retry=False, producer=producer)
    except (OSError, OperationalError, RedisError) as error:
        # The sweep is the truth: a broker that is down must not trouble the user whose change is committed.
        _silent_until = time.monotonic() + _silence
        _silence = min(_silence * 2, _SILENCE[1])
        logger.warning("the broker cannot be reached, the sweep will deliver: %s", error)
    else:
        _silence = _SILENCE[0]


@worker_init.connect
def _refuse_unsafe_database(**_: Any) -> None:
    import django

    django.setup()
    from itsm.tenancy.audit import UnsafeDatabase, refuse_unless_safe

    try:
        refuse_unless_safe()
    except UnsafeDatabase as error:
        # Celery swallows what a signal's receiver raises, but for this.
        raise SystemExit(str(error)) from None
