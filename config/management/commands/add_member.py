"""manage.py add_member SLUG EMAIL: let an account sign in to one more service desk. For the operator, who knows whose it is."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from itsm.access.catalogue import GRANTABLE, PER_PROCESS
from itsm.access.commands import create_person, grant_role, invite_user
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.tenancy.management.tenants import tenant_called
from itsm.tenancy.models import Person, User


class Command(BaseCommand):
    help = "Join an existing account to a service desk, as a new person or as the one that has its address already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("email")
        parser.add_argument("--name", default="", help="of a person that is new there (default: the address)")
        roles = [role.value for role in GRANTABLE if role not in PER_PROCESS]
        parser.add_argument("--role", default="", choices=["", *roles], help="a role to give at once")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        tenant = tenant_called(options["slug"])
        user = User.objects.filter(email=email).first()
        if user is None:
            raise CommandError(f"There is no account {email}. A tenant admin invites new addresses.")
        actor = Actor.system(tenant.pk, "add_member")
        try:
            with transaction.atomic(), unit_of_work(actor):
                person = Person.objects.filter(tenant_id=tenant.pk, email_key=email).first()
                person = person or create_person(actor=actor, name=options["name"] or email, email=email)
                invite_user(actor=actor, person_id=person.pk, user=user)
                if options["role"]:
                    grant_role(actor=actor, person_id=person.pk, role=options["role"])
        except DomainError as error:
            raise CommandError(error.detail) from None
        self.stdout.write(f"{email} can sign in to {tenant.slug} now.")
