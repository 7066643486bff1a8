"""manage.py provision_tenants: give every service desk what a new one gets today; one from before gets what came since."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config.wiring import PROVISION
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.sla.rematch import start_missing
from itsm.tenancy.sweep import active_tenants, for_each_tenant


class Command(BaseCommand):
    help = "Give every service desk what a new one gets today. Changes nothing that is there; safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--migrate", action="store_true", help="migrate the database before")
        parser.add_argument(
            "--clocks",
            action="store_true",
            help="start SLA clocks for open tickets that have none, as if the policies had held since they were opened",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["migrate"]:
            call_command("migrate", interactive=False, verbosity=options["verbosity"], stdout=self.stdout)
        tenants = active_tenants()
        done = for_each_tenant("provisioning", tenants, _provision)
        if done < len(tenants):
            raise CommandError(f"{len(tenants) - done} of {len(tenants)} service desks failed; the log says why.")
        self.stdout.write(f"Service desks with all that a new one has: {done}")
        if options["clocks"]:
            tickets = for_each_tenant("starting clocks", tenants, start_missing)
            self.stdout.write(f"Open tickets without clocks that were looked at: {tickets}")


def _provision(tenant_id: UUID) -> int:
    with unit_of_work(Actor.system(tenant_id, "provision")):
        for provision in PROVISION:
            provision(tenant_id)
    return 1
