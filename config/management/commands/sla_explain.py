"""manage.py sla_explain NUMBER --tenant SLUG: each interval of each clock of a ticket, adding up to the second."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from itsm.kernel.actor import Actor
from itsm.sla.explain import Explanation, as_data, explain, span_text
from itsm.tenancy.context import tenant
from itsm.tenancy.management.tenants import tenant_called
from itsm.tenancy.models import Tenant
from itsm.tickets.models import Ticket


class Command(BaseCommand):
    help = "Explain the SLA clocks of a ticket: what ran, what waited, by which hours and which promise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", help="the ticket's number, such as INC0001234")
        parser.add_argument(
            "--tenant", help="slug of the tenant; may be left out where there is only one that has the number"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        number = options["number"].upper()
        found, ticket = self._find(number, options["tenant"])
        with tenant(found.pk):
            clocks = explain(Actor.system(found.pk, "sla_explain"), ticket)
        if options["json"]:
            self.stdout.write(json.dumps([as_data(one) for one in clocks], default=str, indent=2))
            return
        if not clocks:
            self.stdout.write(f"{number} has no clocks: no policy promises it anything.")
        for one in clocks:
            self._print(one)

    def _find(self, number: str, slug: str | None) -> tuple[Tenant, Ticket]:
        tenants = [tenant_called(slug)] if slug else list(Tenant.objects.filter(is_active=True))
        matches = []
        for one in tenants:
            with tenant(one.pk):
                ticket = Ticket.objects.filter(tenant_id=one.pk, number=number).first()
            if ticket is not None:
                matches.append((one, ticket))
        if not matches:
            raise CommandError(f"There is no ticket {number[:40]} here.", returncode=2)
        if len(matches) > 1:
            slugs = ", ".join(one.slug for one, _ in matches)
            raise CommandError(f"{number} is in several tenants: name one with --tenant ({slugs}).", returncode=2)
        return matches[0]

    def _print(self, one: Explanation) -> None:
        row, zone = one.clock, ZoneInfo(one.zone)
        left = "" if one.left is None else f", {span_text(one.left)} left"
        self.stdout.write(
            f"{row.metric} {row.promise}: {one.verdict}, {span_text(one.elapsed)} of {span_text(one.target or 0)} used{left}"
            f" · {one.policy.name} v{one.policy.version} · {one.calendar.name} v{one.calendar.version} ({one.zone})"
        )
        table = Table("from", "to", "", "why", "business time", "hours", "promise")
        table.columns[4].justify = "right"
        for part in one.intervals:
            end = _wall(part.end, zone) if part.end else "now"
            worked = f"{part.worked / 1_000_000:.6f} s"
            table.add_row(
                *(_wall(part.begin, zone), end, part.kind, " ".join(filter(None, (part.operation, part.reason)))),
                *(worked, f"{part.calendar.name} v{part.calendar.version}", f"{part.promise} (v{part.policy.version})"),
            )
        table.add_section()
        table.add_row("", "", "", "all", f"{sum(part.worked for part in one.intervals) / 1_000_000:.6f} s", "", "")
        Console(file=self.stdout, width=200).print(table)  # type: ignore[arg-type]
        due = f"due {_wall(row.due_at, zone)}" if row.due_at else "due at no time"
        self.stdout.write(f"{due}; thresholds: " + ", ".join(_told(step, zone) for step in one.thresholds) + "\n")


def _wall(instant: datetime | None, zone: ZoneInfo) -> str:
    return "" if instant is None else instant.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def _told(step: Any, zone: ZoneInfo) -> str:
    if step.fired_at:
        return f"{step.written} fired {_wall(step.fired_at, zone)}"
    return f"{step.written} at {_wall(step.due_at, zone)}" if step.due_at else f"{step.written} not armed"
