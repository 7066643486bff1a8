"""How fast open clocks go on by new hours: ``python -m scripts.bench.recompute``, on a database of its own."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Start the services in a folder of their own and measure inside them."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.recompute", description=__doc__)
    parser.add_argument("--clocks", type=int, default=200_000, help="open clocks (default: 200000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often the hours change")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        return measure(given.clocks, given.rounds)
    os.chdir(CHECKOUT)
    folder = Path(tempfile.mkdtemp(prefix="viable-recompute-"))
    folder.chmod(0o755)
    command = [sys.executable, "-m", "config.embedded", "--state", str(folder / "state"), "services", "--"]
    command += [sys.executable, "-m", "scripts.bench.recompute", *sys.argv[1:], "--inside"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "REDIS_", "CACHE_"))}
    try:
        return subprocess.run(command, env=env, check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(clocks: int, rounds: int) -> int:
    """Fill a service desk, write versions of its calendar, and time each run over all clocks."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    import django

    django.setup()
    from django.core.management import call_command

    from config.provision import create_tenant
    from itsm.sla.models import SlaCalendar, SlaCalendarVersion, SlaClock
    from itsm.sla.recompute import recompute_calendars
    from itsm.tenancy.context import tenant

    call_command("migrate", interactive=False, verbosity=0)
    desk = create_tenant("bench").tenant
    fill(desk.pk, clocks // 2)
    for number in range(2, rounds + 2):
        with tenant(desk.pk):
            calendar = SlaCalendar.objects.get(name="Office hours")
            week = {day: [["09:00", f"{16 + number % 3}:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
            SlaCalendarVersion.objects.create(
                calendar=calendar,
                version=number,
                effective_from="2026-01-01",
                hours={"timezone": "UTC", "weekly": week},
            )
        begun, used = time.perf_counter(), time.process_time()
        done = recompute_calendars(desk.pk)
        took, used = time.perf_counter() - begun, time.process_time() - used
        with tenant(desk.pk):
            newest = SlaCalendarVersion.objects.get(calendar=calendar, version=number).pk
            left = SlaClock.objects.exclude(calendar_version=newest).count()
        assert (done.clocks, done.failed, left) == (clocks // 2 * 2, 0, 0), (done, left)
        print(
            f"{done.clocks} clocks in {took:.1f} s: {done.clocks / took:.0f}/s "
            f"({1e6 * used / done.clocks:.0f} us of Python each), {done.moved} with another deadline",
            flush=True,
        )
    return 0


def fill(tenant_id: Any, tickets: int) -> None:
    """One incident by its command, and copies of it with their clocks."""
    from django.db import connection, connections

    from incidents.commands import open_incident
    from itsm.access.commands import create_person
    from itsm.kernel.actor import Actor
    from itsm.kernel.ids import new_id
    from itsm.sla.models import SlaClock
    from itsm.tenancy.context import tenant
    from itsm.tickets.models import Ticket

    actor = Actor.system(tenant_id, "bench")
    person = create_person(actor=actor, name="Somebody")
    first = open_incident(actor=actor, title="x", requester_id=person.pk)
    copies = {"id": "m.id", "number": "'X' || m.n"}
    of_ticket = [field.column for field in Ticket._meta.concrete_fields]
    of_clock = [field.column for field in SlaClock._meta.concrete_fields]
    with tenant(tenant_id), connection.cursor() as cursor:
        made = "unnest(%s::uuid[]) WITH ORDINALITY AS m (id, n)"
        ids = [new_id() for _ in range(tickets - 1)]
        chosen = ", ".join(copies.get(column, f"t.{column}") for column in of_ticket)
        cursor.execute(
            f"INSERT INTO tickets_ticket ({', '.join(of_ticket)}) SELECT {chosen} FROM tickets_ticket t, {made} WHERE t.id = %s",
            [ids, first.pk],
        )
        new = {"id": "gen_random_uuid()", "ticket_id": "m.id"}
        chosen = ", ".join(new.get(column, f"c.{column}") for column in of_clock)
        cursor.execute(
            f"INSERT INTO sla_slaclock ({', '.join(of_clock)}) SELECT {chosen} FROM sla_slaclock c, {made} WHERE c.ticket_id = %s",
            [ids, first.pk],
        )
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE tickets_ticket, sla_slaclock")


if __name__ == "__main__":
    sys.exit(main())
