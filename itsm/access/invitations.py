"""Letting a person sign in. A tenant admin invites persons and never holds a key to an account that exists elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import transaction

from itsm.access.actors import tenants_of_user
from itsm.access.commands import invite_user
from itsm.access.decide import authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound
from itsm.tenancy.models import Membership, Person, User


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who may sign in now. ``sets_password``: the account is this tenant's alone and has none yet, so it may be given a link."""

    user: User
    sets_password: bool


def invite_person(*, actor: Actor, person_id: UUID) -> Invitation:
    """Let a person sign in with its address. Inviting again answers the same, as long as no password was chosen,
    and undoes end_membership().

    Raises Invalid for a person that is disabled or has no address, and for an address that has an account already:
    nobody here has confirmed that address, and whoever made the account elsewhere may hold its password. Only the
    operator joins such an account to a second tenant (``manage.py add_member``).
    """
    with unit_of_work(actor):
        authorize(actor, "person.manage")
        people = Person.objects.filter(tenant_id=actor.tenant_id, pk=person_id, erased_at__isnull=True)
        person: Person | None = people.first()
        if person is None:
            raise NotFound
        if not person.is_active:
            raise Invalid.one("person", "disabled", f"{person.name} is disabled. Enable the person first.")
        if not person.email_key:
            raise Invalid.one(
                "email", "required", f"{person.name} has no e-mail address, which is what one signs in with."
            )
        member = Membership.objects.filter(tenant_id=actor.tenant_id, person_id=person.pk).first()
        if member is not None:
            user = User.objects.get(pk=member.user_id)
            if not member.is_lasting:
                invite_user(actor=actor, person_id=person.pk, user=user)
        else:
            with transaction.atomic():
                user, created = User.objects.get_or_create(
                    email=person.email_key, defaults={"password": make_password(None)}
                )
            if not created:
                raise Invalid.one(
                    "email",
                    "account_exists",
                    f"{person.email_key} has an account on this installation. Its operator can add it: manage.py add_member.",
                )
            invite_user(actor=actor, person_id=person.pk, user=user)
        elsewhere = [tenant_id for tenant_id, _slug, _name in tenants_of_user(user.pk) if tenant_id != actor.tenant_id]
        return Invitation(user, sets_password=not elsewhere and not user.has_usable_password())
