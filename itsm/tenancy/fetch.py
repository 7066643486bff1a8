"""A row of a tenant for a command that is about to change it, and whether a name is still free."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from itsm.kernel.errors import Conflict, Invalid, NotFound
from itsm.tenancy.fields import TenantModel

M = TypeVar("M", bound=TenantModel)


def locked(model: type[M], tenant_id: UUID, pk: UUID, *, referenced: bool = False) -> M:
    """The row, locked. Raises NotFound.

    ``referenced`` rows are pointed at by rows that others are writing just now: those need not wait, as its key stays.
    """
    row: M | None = model.objects.select_for_update(no_key=referenced).filter(tenant_id=tenant_id, pk=pk).first()
    if row is None:
        raise NotFound
    return row


def refuse_changed(current: int, expected: int | None) -> None:
    """Raise Conflict when a row has another revision than the one that its reader saw. None: whoever writes does not ask."""
    if expected is not None and current != expected:
        raise Conflict(current=current, expected=expected)


def refuse_taken(
    model: type[TenantModel], tenant_id: UUID, what: str, *, but: UUID | None = None, **unique: Any
) -> None:
    """Raise Invalid when a row other than ``but`` has these values. ``what`` is its article and noun, such as "a team"."""
    absent = {f"{name}__isnull": True for name, value in unique.items() if value is None}
    given = {name: value for name, value in unique.items() if value is not None}
    if model.objects.filter(tenant_id=tenant_id, **given, **absent).exclude(pk=but).exists():
        raise Invalid.one("name", "taken", f"There is already {what} with this name.")
