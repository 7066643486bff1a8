"""The WSGI door: pages and API. Refuses to start on a database whose tenant wall has a hole."""

from __future__ import annotations

import gc
import os

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application


def start() -> WSGIHandler:
    """The application, after the audit. Raises UnsafeDatabase, which ends the process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    handler = get_wsgi_application()
    from itsm.tenancy.audit import refuse_unless_safe  # models can be imported only now

    refuse_unless_safe()
    # What is loaded now stays: the collector need not look at it again and again while it clears up after requests.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    return handler


application = start()
