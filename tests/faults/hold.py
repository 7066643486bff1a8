"""Fires a batch and does not commit: says FIRED, then waits to be killed. For the test that kills it there."""

from __future__ import annotations

import os
import sys
import time
from uuid import UUID


def main(tenant_id: UUID, seconds: float) -> None:
    """Hold the rows of the tenant for so long."""
    import django

    django.setup()
    from django.utils import timezone

    from itsm.sla.sweep import CLOCKS
    from itsm.tenancy.context import tenant

    with tenant(tenant_id):
        clocks, fires = CLOCKS.fire(tenant_id, timezone.now(), 500)
        sys.stdout.write(f"FIRED {clocks} {fires}\n")
        sys.stdout.flush()
        time.sleep(seconds)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    main(UUID(sys.argv[1]), float(sys.argv[2]))
