"""Priority is never typed in: it follows from impact and urgency by the tenant's matrix."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from itsm.kernel.errors import Problems

#: (impact, urgency) → priority, as ServiceNow ships it. Written into each new tenant, which may change it.
DEFAULT_MATRIX = {
    (1, 1): 1,
    (1, 2): 2,
    (1, 3): 3,
    (2, 1): 2,
    (2, 2): 3,
    (2, 3): 4,
    (3, 1): 3,
    (3, 2): 4,
    (3, 3): 5,
}
LEVELS = (1, 2, 3)

_RULE = "SELECT priority FROM tickets_priorityrule WHERE tenant_id = %s AND impact = %s AND urgency = %s"


def priority_of(tenant_id: UUID, impact: int, urgency: int) -> int:
    """The tenant's priority for a cell of the matrix. Raises Invalid when impact or urgency is not 1, 2 or 3."""
    problems = Problems()
    for name, value in (("impact", impact), ("urgency", urgency)):
        if value not in LEVELS:
            problems.add(name, "out_of_range", f"{name} must be 1 (high), 2 (medium) or 3 (low).", low=1, high=3)
    problems.raise_if_any()
    with connection.cursor() as cursor:
        cursor.execute(_RULE, [tenant_id, impact, urgency])
        rule = cursor.fetchone()
    return int(rule[0]) if rule else DEFAULT_MATRIX[impact, urgency]
