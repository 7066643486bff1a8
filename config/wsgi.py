"""The WSGI door: pages and API. Refuses to start on a database whose tenant wall has a hole."""

from __future__ import annotations

import os

from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application


def start() -> WSGIHandler:
    """The application, after the audit. Raises UnsafeDatabase, which ends the process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    handler = get_wsgi_application()
    from itsm.tenancy.audit import refuse_unless_safe  # models can be imported only now

    refuse_unless_safe()
    return handler


application = start()
