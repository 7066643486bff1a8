"""Runs inside services of its own: fills, sweeps, crashes PostgreSQL, and looks whether everything fired once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

COUNT = 20_000


def main() -> None:
    """Ends with an error when anything was lost or doubled."""
    subprocess.run([sys.executable, "manage.py", "migrate", "--no-input"], check=True)
    import django

    django.setup()
    from django.db import DatabaseError, InterfaceError, connection, connections

    from config.provision import create_tenant
    from itsm.access.commands import create_person
    from itsm.kernel.actor import Actor
    from tests.faults.clocks import figures, fill, sweeper, until

    def now() -> dict[str, int]:
        """The figures, or none while the database recovers."""
        try:
            return figures(made.pk)
        except (DatabaseError, InterfaceError):
            connections.close_all()
            return {"fires": -1, "distinct": -1, "due": -1}

    made = create_tenant("acme").tenant
    create_person(actor=Actor.system(made.pk, "faults"), name="Somebody")
    fill(made.pk, COUNT)
    with sweeper(os.environ):
        until(lambda: now()["fires"] > 0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        os.kill(pid, signal.SIGKILL)
        took = until(lambda: now()["fires"] >= COUNT and now()["due"] == 0, 90)
    found = now()
    if (found["fires"], found["distinct"]) != (COUNT, COUNT):
        raise SystemExit(f"not once each: {found}")
    sys.stdout.write(f"{COUNT} fired once each, {took:.1f} s after the crash\n")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    main()
