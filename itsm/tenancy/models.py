"""Tenants, the people and teams inside them, and the global users who sign in.

Global (no tenant column, by allow-list): Tenant and User. Everything else in the product belongs to one tenant.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.kernel.ids import new_id
from itsm.tenancy.fields import TenantForeignKey, TenantModel

SLUG = RegexValidator(
    r"\A[a-z][a-z0-9-]{1,38}[a-z0-9]\Z",
    _("Use 3 to 40 characters: small letters, digits and hyphens, a letter first, no hyphen at the end."),
)


class Tenant(models.Model):
    """One service desk on this installation. The app role may read it and nothing else."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(max_length=40, unique=True, validators=[SLUG])
    name = models.CharField(max_length=200)
    host = models.CharField(max_length=253, unique=True, null=True, blank=True)
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["slug"]

    def __str__(self) -> str:
        return self.slug


class TenantSettings(TenantModel):
    """What holds for everybody in the tenant who has chosen nothing else. One row per tenant."""

    time_zone = models.CharField(max_length=64, default="UTC")
    language = models.CharField(max_length=16, default="en")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant"], name="tenant_settings_single")]


class UserManager(BaseUserManager["User"]):
    """Looks users up by the lower-cased e-mail address, which is how it is stored."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user: User = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """Somebody who can sign in. Has no rights: rights belong to a Person inside a tenant."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(_("e-mail address"), unique=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email

    # The admin asks these of any user; the answer inside a tenant comes from the permission table instead.
    @property
    def is_staff(self) -> bool:
        return False

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return False

    def has_module_perms(self, app_label: str) -> bool:
        return False


class Organisation(TenantModel):
    """A customer company or a unit of it, to which requesters belong."""

    name = models.CharField(max_length=200)
    parent = TenantForeignKey("self", null=True, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="organisation_name")]

    def __str__(self) -> str:
        return self.name


class Person(TenantModel):
    """Somebody inside a tenant: requester, assignee, actor. May exist without a login (an imported requester)."""

    name = models.CharField(max_length=200)
    #: Lower-cased in Python: equality on it may use the index under row-level security, lower() may not.
    email_key = models.CharField(max_length=254, null=True, blank=True)
    organisation = TenantForeignKey(Organisation, null=True, blank=True)
    language = models.CharField(max_length=16, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    #: Whether single keys (J, K, O …) do something on a page; whoever dictates or uses a switch may turn them off.
    shortcuts = models.BooleanField(default=True, db_default=True)
    #: Whether the queue shows the list and a ticket side by side.
    split_queue = models.BooleanField(default=True, db_default=True)
    #: Key in the system that the person was imported from.
    source_key = models.CharField(max_length=200, null=True, blank=True)
    is_active = models.BooleanField(default=True)
    erased_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "email_key"], name="person_email", condition=Q(email_key__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["tenant", "source_key"], name="person_source_key", condition=Q(source_key__isnull=False)
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "name"], name="person_by_name")]
        verbose_name_plural = _("people")

    def __str__(self) -> str:
        return self.name


class Membership(TenantModel):
    """The link from a User to the Person that he or she is in this tenant. Without one, the tenant does not exist for the user."""

    #: Plain id: no tenant table holds a real foreign key to a global one but Tenant.
    user_id = models.UUIDField()
    person = TenantForeignKey(Person)
    is_active = models.BooleanField(default=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "user_id"], name="membership_user"),
            models.UniqueConstraint(fields=["tenant", "person"], name="membership_person"),
        ]
        verbose_name_plural = _("memberships")

    def __str__(self) -> str:
        return str(self.person)

    @property
    def is_lasting(self) -> bool:
        """Whether it holds and has no end."""
        return self.is_active and self.valid_until is None


class Team(TenantModel):
    """A group of agents that tickets are assigned to. The tickets of a restricted team exist for its members only."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True)
    is_restricted = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="team_name")]

    def __str__(self) -> str:
        return self.name
