"""What each task leaves behind for the operator: one line in the log and a count, with the ids in force while it ran."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from typing import Any

from celery import Task
from celery.signals import setup_logging, task_postrun, task_prerun

from config.observe import shared
from itsm.kernel.trace import traced

logger = logging.getLogger("viable.task")

#: A sweep every second is not worth a line every second, as long as it succeeds.
QUIET = frozenset({"itsm.events.tasks.relay_all", "itsm.notify.tasks.send_all"})

_running: dict[str, tuple[float, AbstractContextManager[None]]] = {}


@task_prerun.connect
def begin(task_id: str, task: Task[Any, Any], **_: Any) -> None:
    scope = traced(task=str(task.name), task_id=task_id)
    scope.__enter__()
    _running[task_id] = (time.perf_counter(), scope)


@task_postrun.connect
def end(task_id: str, task: Task[Any, Any], retval: Any = None, state: str | None = None, **_: Any) -> None:
    begun, scope = _running.pop(task_id, (None, None))
    if begun is None or scope is None:
        return
    seconds = time.perf_counter() - begun
    shared.task_ended(str(task.name), (state or "UNKNOWN").lower(), seconds)
    failed = state != "SUCCESS"
    level = logging.ERROR if failed else logging.DEBUG if task.name in QUIET else logging.INFO
    logger.log(
        level,
        "task",
        extra={"outcome": (state or "UNKNOWN").lower(), "ms": round(seconds * 1000, 1)},
        exc_info=retval if failed and isinstance(retval, BaseException) else None,
    )
    scope.__exit__(None, None, None)


@setup_logging.connect
def keep_ours(**_: Any) -> None:
    """Whoever listens to this signal keeps Celery from replacing the handlers of settings.LOGGING."""
