"""manage.py report NAME: the figures of a report, for people or (--json, --csv) for programs."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from incidents.reports import incident_report
from itsm.kernel.actor import Actor
from itsm.reports.tables import as_csv, rows
from itsm.tenancy.context import tenant
from itsm.tenancy.management.tenants import tenant_called
from itsm.tenancy.models import TenantSettings

REPORTS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"incidents": incident_report}


class Command(BaseCommand):
    help = "Print a report of one service desk. The same figures are on its page and in the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("report", choices=sorted(REPORTS))
        parser.add_argument("--tenant", required=True, help="slug of the service desk")
        shape = parser.add_mutually_exclusive_group()
        shape.add_argument("--json", action="store_true", help="print JSON")
        shape.add_argument("--csv", action="store_true", help="print CSV")
        parser.add_argument(
            "--backlog-at",
            nargs="+",
            default=[],
            metavar="ISO",
            help="instants to give the backlog for, in the service desk's zone unless they name one",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = tenant_called(options["tenant"])
        with tenant(found.pk):
            zone = ZoneInfo(TenantSettings.objects.values_list("time_zone", flat=True).first() or "UTC")
        actor = Actor.system(found.pk, "report")
        instants = [_instant(text, zone) for text in options["backlog_at"]]
        report = REPORTS[options["report"]](actor=actor, backlog_at=instants)
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))
        elif options["csv"]:
            self.stdout.write(as_csv(report), ending="")
        else:
            self._print(f"{options['report']} of {found.name}", report)

    def _print(self, title: str, report: dict[str, Any]) -> None:
        table = Table("figure", "", "value", title=title)
        table.columns[2].justify = "right"
        before = ""
        for name, key, value in rows(report):
            table.add_row("" if name == before else name, key, "" if value is None else str(value))
            before = name
        console = Console()
        with console.capture() as captured:
            console.print(table)
        self.stdout.write(captured.get(), ending="")


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(zone)
    except (ValueError, OverflowError):
        raise CommandError(f"--backlog-at {text!r} is no date such as 2016-03-31T23:59.") from None
