"""Creating a tenant: the owner role writes the one global row, everything else happens inside the tenant by commands."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.core.exceptions import ValidationError

from config.wiring import PROVISION
from itsm.access.actors import tenants_of_user
from itsm.access.catalogue import Role
from itsm.access.commands import create_person, grant_role, invite_user
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Problems
from itsm.tenancy.locale import check_language, check_time_zone
from itsm.tenancy.models import SLUG, Person, Tenant, TenantSettings, User
from itsm.tenancy.roles import database_role


@dataclass(frozen=True, slots=True)
class Created:
    """A tenant, and the admin's password when one was made up for a new user."""

    tenant: Tenant
    password: str | None


def create_tenant(
    slug: str,
    *,
    name: str = "",
    host: str | None = None,
    admin_email: str = "",
    admin_name: str = "Administrator",
    time_zone: str = "",
    language: str = "",
    activate: bool = True,
) -> Created:
    """Create (or finish creating) a tenant. Raises ValidationError for a slug, host, zone or language that cannot be used.

    ``time_zone`` is also that of its first calendars, whose zone is for good. The row is inactive until everything inside stands,
    so that a crash in between leaves nothing that anybody can enter.
    """
    SLUG(slug)
    place = _place(time_zone, language)
    with database_role("owner") as alias:
        tenant = Tenant.objects.using(alias).filter(slug=slug).first()
        if tenant is not None and tenant.is_active:
            raise ValidationError(f"There is already a service desk {slug}.")
        if host and Tenant.objects.using(alias).filter(host=host).exclude(slug=slug).exists():
            raise ValidationError(f"The host {host} belongs to another service desk.")
        if tenant is None:
            tenant = Tenant(slug=slug, name=name or slug, host=host or None)
            tenant.save(using=alias, force_insert=True)
    actor = Actor.system(tenant.pk, "provision")
    password = None
    with unit_of_work(actor) as work:
        TenantSettings.objects.get_or_create(tenant_id=tenant.pk, defaults=place)
        for provision in PROVISION:
            provision(tenant.pk)
        if not Event.objects.filter(kind="tenant.created").exists():
            work.emit("tenant.created", slug=slug)
        if admin_email:
            password = _first_admin(actor, admin_email, admin_name)
    if activate:
        activate_tenant(tenant)
    return Created(tenant, password)


def _place(time_zone: str, language: str) -> dict[str, str]:
    """Where a tenant is; what is not said is left to the defaults."""
    problems = Problems()
    if time_zone:
        check_time_zone(problems, time_zone)
    if language:
        check_language(problems, language)
    if problems.found:
        raise ValidationError([problem.detail for problem in problems.found])
    return {name: value for name, value in (("time_zone", time_zone), ("language", language)) if value}


def activate_tenant(tenant: Tenant) -> None:
    """Open the doors of a tenant that is complete."""
    with database_role("owner") as alias:
        Tenant.objects.using(alias).filter(pk=tenant.pk).update(is_active=True)
    tenant.is_active = True


def set_aside(slug: str) -> None:
    """Free the slug of a tenant that was never finished. Its rows stay, inactive: events are never deleted."""
    with database_role("owner") as alias:
        unfinished = Tenant.objects.using(alias).filter(slug=slug, is_active=False)
        for tenant in unfinished:
            unfinished.filter(pk=tenant.pk).update(slug=f"unfinished-{str(tenant.pk)[-12:]}", host=None)


def _first_admin(actor: Actor, email: str, name: str) -> str | None:
    key = email.strip().lower()
    if Person.objects.filter(email_key=key).exists():
        return _unseen_password(key)
    password = None
    user = User.objects.filter(email=key).first()
    if user is None:
        password = secrets.token_urlsafe(12)
        user = User.objects.create_user(key, password)
    person = create_person(actor=actor, name=name, email=key)
    invite_user(actor=actor, person_id=person.pk, user=user)
    for role in (Role.TENANT_ADMIN, Role.AGENT):
        grant_role(actor=actor, person_id=person.pk, role=role)
    return password


def _unseen_password(email: str) -> str | None:
    """A new password for a login that an interrupted try made and nobody has used: the first one was never shown."""
    user = User.objects.filter(email=email, last_login__isnull=True).first()
    if user is None or tenants_of_user(user.pk):
        return None
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password
