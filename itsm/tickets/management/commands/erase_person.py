"""manage.py erase_person PERSON --tenant SLUG: remove a person and the texts by and about the person, for good."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.tenancy.context import tenant
from itsm.tenancy.management.tenants import tenant_called
from itsm.tenancy.models import Person
from itsm.tickets.commands.erasure import erase_person


class Command(BaseCommand):
    help = "Remove a person: name, address, login, tokens, and the texts by and about the person. It cannot be undone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("person", help="the person's id or e-mail address")
        parser.add_argument("--tenant", required=True, help="the service desk's slug")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        found = tenant_called(options["tenant"], closed_too=True)
        with tenant(found.pk):
            people = Person.objects.filter(erased_at__isnull=True)
            person = people.filter(**_named(options["person"])).first()
        if person is None:
            raise CommandError(f"There is nobody called {options['person']} in {found.slug}, or no longer.")
        if not options["yes"] and input(f"Erase {person.name} ({person.email_key or 'no address'})? [y/N] ") != "y":
            raise CommandError("Nothing was erased.")
        try:
            removed = erase_person(actor=Actor.system(found.pk, "erase_person"), person_id=person.pk)
        except DomainError as error:
            raise CommandError(error.detail) from None
        self.stdout.write(f"Erased {person.pk}: " + ", ".join(f"{n} {what}" for what, n in sorted(removed.items())))


def _named(text: str) -> dict[str, Any]:
    try:
        return {"pk": UUID(text)}
    except ValueError:
        return {"email_key": text.strip().lower()}
