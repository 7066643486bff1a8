"""Tasks that the worker of test_celery runs beside the product's own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from uuid import UUID

from config.celery import app
from itsm.events.bus import Consumer, wiring
from itsm.events.models import Event
from itsm.tenancy.context import tenant
from itsm.tickets.models import Service


@app.task  # type: ignore[untyped-decorator]
def note(name: str, tenant_id: str) -> None:
    """Leave a row in the tenant, taking a moment inside it, so that tasks overlap."""
    with tenant(UUID(tenant_id)):
        time.sleep(0.01)
        # The tenant in force, which is the column's default.
        Service(name=name).save(force_insert=True)


@app.task  # type: ignore[untyped-decorator]
def stray(name: str, tenant_id: str) -> None:
    """Try to leave a row without having entered its tenant."""
    Service(name=name, tenant_id=UUID(tenant_id)).save(force_insert=True)


def witness(event: Event) -> None:
    """A consumer that writes, says that it has, and is slow to come to its end when told so."""
    Service(name=f"witnessed {event.kind}", tenant_id=event.tenant_id).save(force_insert=True)
    if reached := os.environ.get("DELIVERY_REACHED"):
        Path(reached).touch()
        time.sleep(float(os.environ["DELIVERY_SLEEPS"]))


if os.environ.get("DELIVERY_WITNESS"):
    # In a worker only: the product is wired by now, and its relay gets one consumer more.
    wiring.consume(Consumer("test.witness", ("incident.",), witness))
