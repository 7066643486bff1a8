"""Human numbers: INC0001001, INC0001002 … per tenant and kind."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import connections

from itsm.kernel.errors import Invalid
from itsm.tenancy.context import tenant

#: Digits after the prefix; larger numbers simply grow longer.
WIDTH = 7

_TAKE = """
UPDATE tickets_numberseries s SET last_value = last_value + %s FROM tickets_workkind k
WHERE s.tenant_id = %s AND s.kind = %s AND k.tenant_id = s.tenant_id AND k.key = s.kind RETURNING k.prefix, s.last_value
"""


def take_numbers(tenant_id: UUID, kind: str, count: int = 1) -> list[str]:
    """Take ``count`` consecutive numbers of a kind, in a short transaction of their own.

    Call it last, when nothing can refuse any more: a number that is taken and not used leaves a gap.
    Raises Invalid for a kind that the tenant does not have.
    """
    alias = settings.DATABASE_ALIASES["numbers"]
    with tenant(tenant_id, using=alias), connections[alias].cursor() as cursor:
        cursor.execute(_TAKE, [count, tenant_id, kind])
        row = cursor.fetchone()
    if row is None:
        raise Invalid.one(
            "kind", "unknown_kind", f"This service desk has no kind of ticket called {kind}, or no numbers for it."
        )
    prefix, last = row
    return [f"{prefix}{value:0{WIDTH}d}" for value in range(last - count + 1, last + 1)]
