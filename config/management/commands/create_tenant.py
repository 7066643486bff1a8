"""manage.py create_tenant SLUG: a new service desk, ready to work, with its first admin."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from config.provision import create_tenant


class Command(BaseCommand):
    help = "Create a service desk. Repeating it with the same slug finishes what an earlier try left undone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="3 to 40 small letters, digits and hyphens; part of its address")
        parser.add_argument("--name", default="", help="what people call it (default: the slug)")
        parser.add_argument("--host", default=None, help="a host of its own, such as desk.acme.example")
        parser.add_argument(
            "--admin-email", default="", help="the first tenant admin; a new login's password is printed, once"
        )
        parser.add_argument("--admin-name", default="Administrator")
        parser.add_argument(
            "--time-zone",
            default="",
            help="such as Europe/Berlin (default: UTC); that of its first calendars is for good",
        )
        parser.add_argument(
            "--language", default="", help="of pages and mails where nobody has chosen one (default: en)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            created = create_tenant(
                options["slug"],
                name=options["name"],
                host=options["host"],
                admin_email=options["admin_email"],
                admin_name=options["admin_name"],
                time_zone=options["time_zone"],
                language=options["language"],
            )
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(f"{created.tenant.slug} is ready at /t/{created.tenant.slug}/")
        if created.password:
            self.stdout.write(f"admin login: {options['admin_email']}  password: {created.password}")
        elif options["admin_email"]:
            self.stdout.write(f"admin login: {options['admin_email']}  (there already; its password stays)")
