"""The WSGI door: pages and API. Refuses to start on a database whose tenant wall has a hole."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from itsm.tenancy.audit import refuse_unless_safe

refuse_unless_safe()
