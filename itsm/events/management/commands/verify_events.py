"""manage.py verify_events: is the event log what it was when it was written?"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from itsm.events.verify import Report, verify
from itsm.tenancy.management.tenants import tenant_called
from itsm.tenancy.models import Tenant


class Command(BaseCommand):
    help = (
        "Check the chains of all events, the texts beside them and the sealed feed. Exit status 1 when something was "
        "changed, removed or put elsewhere; each such place is named."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="the slug of one service desk (default: all)")
        parser.add_argument("--json", action="store_true", help="one JSON document instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        one = options["tenant"]
        tenants = [tenant_called(one, closed_too=True)] if one else Tenant.objects.order_by("slug")
        reports = {found.slug: verify(found.pk) for found in tenants}
        if options["json"]:
            self.stdout.write(json.dumps({slug: report.as_dict() for slug, report in reports.items()}, indent=2))
        else:
            for slug, report in reports.items():
                self._say(slug, report)
        if broken := [slug for slug, report in reports.items() if not report.intact]:
            raise CommandError(f"The log is broken: {', '.join(broken)}.", returncode=1)

    def _say(self, slug: str, report: Report) -> None:
        for one in report.breaks:
            where = [
                f"{name} {value}"
                for name, value in (("event", one.event), ("ticket", one.ticket), ("position", one.position))
                if value is not None
            ]
            self.stderr.write(f"{slug}: {', '.join(where)}: {one.what}")
        if report.break_count > len(report.breaks):
            self.stderr.write(f"{slug}: and {report.break_count - len(report.breaks)} more")
        self.stdout.write(
            f"{slug}: {report.events} events of {report.tickets} tickets, {report.texts} texts, "
            f"{report.positions} positions in {report.seals} seals, {report.unsealed} not yet sealed; "
            f"{report.break_count} breaks; {report.seconds:.1f} s, {report.events_per_second} events/s"
        )
