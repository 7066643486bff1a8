"""manage.py sla_recompute: compute running clocks anew, after the rules of a time zone have changed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from itsm.sla.recompute import Recomputed, recompute_all
from itsm.tenancy.models import Tenant
from itsm.tenancy.sweep import all_tenants


class Command(BaseCommand):
    help = (
        "Compute every running SLA clock anew by its hours, and write those that differ. "
        "For the day after new zone data (tzdata) was installed; everything else happens by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default="", help="the slug of one service desk; all of them otherwise")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = all_tenants()
        if options["tenant"]:
            tenants = list(Tenant.objects.filter(slug=options["tenant"]).values_list("pk", flat=True))
            if not tenants:
                raise CommandError(f"There is no service desk {options['tenant']!r}.", returncode=2)
        total = Recomputed()
        for tenant_id in tenants:
            done = recompute_all(tenant_id)
            total.clocks += done.clocks
            total.moved += done.moved
            total.failed += done.failed
        self.stdout.write(f"Clocks written anew: {total.clocks}, with another deadline: {total.moved}")
        if total.failed:
            raise CommandError(f"Tickets whose clocks could not be computed: {total.failed}; the log says which.")
