"""manage.py report NAME: the figures of a report, for people or (--json, --csv) for programs."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from incidents.reports import incident_report
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid
from itsm.reports.service_levels import service_level_report, service_levels_csv, table
from itsm.reports.tables import as_csv, rows
from itsm.tenancy.context import tenant
from itsm.tenancy.management.tenants import tenant_called
from itsm.tenancy.models import TenantSettings

REPORTS: Final = ("incidents", "service-levels")
#: Options of the service levels, as service_levels.question() reads them.
_PERIOD: Final = {
    "from": "first day of the period, such as 2026-01-01 (default: the first of the month before)",
    "to": "its last day (default: today)",
    "metric": "response, resolution, update or ola (default: all)",
    "by": "priority, team, service, organisation, month or policy (default: priority)",
}


class Command(BaseCommand):
    help = "Print a report of one service desk. The same figures are on its page and in the API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("report", choices=REPORTS)
        parser.add_argument("--tenant", required=True, help="slug of the service desk")
        shape = parser.add_mutually_exclusive_group()
        shape.add_argument("--json", action="store_true", help="print JSON")
        shape.add_argument("--csv", action="store_true", help="print CSV")
        parser.add_argument(
            "--backlog-at",
            nargs="+",
            default=[],
            metavar="ISO",
            help="incidents: instants to give the backlog for, in the service desk's zone unless they name one",
        )
        for name, text in _PERIOD.items():
            parser.add_argument(f"--{name}", default="", help=f"service-levels: {text}")

    def handle(self, *args: Any, **options: Any) -> None:
        found = tenant_called(options["tenant"])
        actor = Actor.system(found.pk, "report")
        if options["report"] == "service-levels":
            self._service_levels(actor, found.name, options)
        else:
            self._incidents(actor, found.name, options)

    def _incidents(self, actor: Actor, name: str, options: dict[str, Any]) -> None:
        with tenant(actor.tenant_id):
            zone = ZoneInfo(TenantSettings.objects.values_list("time_zone", flat=True).first() or "UTC")
        report = incident_report(actor=actor, backlog_at=[_instant(text, zone) for text in options["backlog_at"]])
        if options["json"]:
            self._json(report)
        elif options["csv"]:
            self.stdout.write(as_csv(report), ending="")
        else:
            self._print(f"incidents of {name}", ("figure", "", "value"), _without_repeats(rows(report)))

    def _service_levels(self, actor: Actor, name: str, options: dict[str, Any]) -> None:
        try:
            report = service_level_report(actor=actor, given={one: options[one] for one in _PERIOD})
        except Invalid as error:
            raise CommandError(" ".join(f"--{p.pointer.strip('/')}: {p.detail}" for p in error.problems)) from None
        if options["json"]:
            self._json(report)
        elif options["csv"]:
            self.stdout.write(service_levels_csv(report), ending="")
        else:
            head, *body = table(report)
            title = f"service levels of {name}, {report['from']} to {report['to']}"
            self._print(title, head, ([str(cell) for cell in row] for row in body))
            for row in report["metrics"]:
                self.stdout.write(f"{row['metric']}: {row['open']} open then, {row['open_overdue']} of them overdue")

    def _json(self, report: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(report, indent=2, ensure_ascii=False))

    def _print(self, title: str, head: Sequence[str], body: Iterable[Sequence[str]]) -> None:
        grid = Table(*head, title=title)
        for column in grid.columns[2:]:
            column.justify = "right"
        for row in body:
            grid.add_row(*row)
        console = Console()
        with console.capture() as captured:
            console.print(grid)
        self.stdout.write(captured.get(), ending="")


def _without_repeats(figures: Iterable[tuple[str, str, Any]]) -> Iterator[tuple[str, str, str]]:
    before = ""
    for name, key, value in figures:
        yield "" if name == before else name, key, "" if value is None else str(value)
        before = name


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(zone)
    except (ValueError, OverflowError):
        raise CommandError(f"--backlog-at {text!r} is no date such as 2016-03-31T23:59.") from None
