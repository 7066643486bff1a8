"""Who holds which role, and the tokens that people make for programs."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.tenancy.fields import TenantForeignKey, TenantModel, TenantQuerySet
from itsm.tenancy.models import Person, Team


class RoleGrantQuerySet(TenantQuerySet):
    """Every question about rights goes through valid(): a grant that has expired counts nowhere."""

    def valid(self, at: datetime | None = None) -> Self:
        at = at or now()
        return self.filter(Q(valid_until__isnull=True) | Q(valid_until__gt=at))


class RoleGrant(TenantModel):
    """One role of one person: in the whole tenant, for one process (manager, owner), or in one team (agent)."""

    person = TenantForeignKey(Person)
    role = models.CharField(max_length=32)
    process = models.CharField(max_length=40, blank=True)
    team = TenantForeignKey(Team, null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    objects: ClassVar = RoleGrantQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "person", "role", "process", "team"], name="role_grant", nulls_distinct=False
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "team"], name="role_grant_team", condition=Q(team__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.person} – {self.role}"


class ApiToken(TenantModel):
    """A bearer token. The secret is shown once and only its SHA-256 is stored; the prefix identifies it in lists and leaks."""

    person = TenantForeignKey(Person)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    secret_hash = models.BinaryField(max_length=32)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "secret_hash"], name="api_token_secret")]
        indexes: ClassVar = [models.Index(fields=["tenant", "person"], name="api_token_person")]
        verbose_name = _("API token")

    def __str__(self) -> str:
        return self.name
