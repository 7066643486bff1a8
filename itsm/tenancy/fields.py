"""Base model, manager and foreign key of everything that belongs to a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

from itsm.kernel.ids import new_id
from itsm.tenancy.context import current_tenant_id

ALL_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
APPEND_ONLY = ("SELECT", "INSERT")


if TYPE_CHECKING:
    _ForeignKey = models.ForeignKey[Any, Any]
    _OneToOneField = models.OneToOneField[Any, Any]
else:
    _ForeignKey = models.ForeignKey
    _OneToOneField = models.OneToOneField


class _InsideTenant:
    """What both kinds of reference share: no constraint of Django's own, and joins that carry the tenant."""

    def __init__(self, to: Any, on_delete: Any = models.DO_NOTHING, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        kwargs.setdefault("db_index", False)
        kwargs.setdefault("related_name", "+")
        super().__init__(to, on_delete, **kwargs)  # type: ignore[call-arg]

    def get_extra_restriction(self, alias: str | None, related_alias: str | None) -> Any:
        if alias is None or related_alias is None:
            return None
        mine: Any = self.model._meta.get_field("tenant")  # type: ignore[attr-defined]
        # Both tables call the column tenant_id, so one field serves for both sides of the comparison.
        return mine.get_lookup("exact")(mine.get_col(alias), mine.get_col(related_alias))


class TenantForeignKey(_InsideTenant, _ForeignKey):
    """A reference inside one tenant.

    The database constraint is the composite one, (tenant_id, x_id), which the reconciler writes: Django's own would allow
    a reference into another tenant, because foreign-key checks bypass row-level security. Joins carry the tenant, so that
    the composite indexes serve them. Indexes are declared per model, tenant first.
    """


class TenantOneToOneField(_InsideTenant, _OneToOneField):
    """The primary key of a detail row: one-to-one with its ticket. Same constraint and joins as TenantForeignKey."""


class TenantQuerySet(models.QuerySet[Any]):
    """What managers of tenant tables answer with; row-level security narrows it to the tenant in force."""


class TenantModel(models.Model):
    """Base of every tenant table. ``tenancy_rights`` are the grants of the app role; ``append_only`` adds the trigger."""

    tenancy_rights: ClassVar[tuple[str, ...]] = ALL_RIGHTS
    append_only: ClassVar[bool] = False
    #: Columns that the platform role may read (sweeps); empty for nearly all tables.
    platform_columns: ClassVar[tuple[str, ...]] = ()

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(
        "tenancy.Tenant", models.DO_NOTHING, default=current_tenant_id, editable=False, db_index=False, related_name="+"
    )

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True
