"""Worker and beat touch a file while they work, so that a health check need only look at its age.

Asking through the broker (``celery inspect ping``) starts a whole Django process for every answer, and without any health
check a container runtime calls a process healthy that has long stopped taking work. The file's path is the setting
``HEARTBEAT_PATH``; without it nothing is touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery, bootsteps
from celery.beat import PersistentScheduler, ScheduleEntry
from celery.worker.consumer.tasks import Tasks
from django.conf import settings
from kombu import Producer

#: Seconds between two touches of a worker. A health check allows several times as much.
WORKER_SECONDS = 5.0


def touch() -> None:
    """Mark this instant."""
    Path(settings.HEARTBEAT_PATH).touch()


class WorkerHeartbeat(bootsteps.StartStopStep):
    """Touches the file from the worker's own loop, for as long as it takes tasks from the broker.

    A loop that hangs stops touching, and so does a worker that has lost the broker: Celery stops its consumer's steps
    then, and starts them again on the new connection.
    """

    requires = (Tasks,)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        touch()
        self._timer = parent.timer.call_repeatedly(WORKER_SECONDS, touch)

    def stop(self, parent: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    shutdown = stop


class Scheduler(PersistentScheduler):
    """Beat's own scheduler; touches the file whenever the broker has accepted a task. The relay's is due each second."""

    def apply_async(
        self, entry: ScheduleEntry, producer: Producer | None = None, advance: bool = True, **options: Any
    ) -> Any:
        result = super().apply_async(entry, producer=producer, advance=advance, **options)
        touch()
        return result


def install(app: Celery) -> None:
    """Make this app's worker and beat keep the file, if the settings name one."""
    if settings.HEARTBEAT_PATH:
        app.steps["consumer"].add(WorkerHeartbeat)
        app.conf.beat_scheduler = "config.heartbeat:Scheduler"
