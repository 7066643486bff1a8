"""Pages by key, not by number: inserts between two pages neither repeat nor skip a row. Knows no HTTP and no words."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.models import F, Q

from itsm.kernel.ids import is_uuid

#: Characters of a cursor. The longest value of a sorted column is a name of some hundred.
CURSOR_MAX = 1000


@dataclass(frozen=True, slots=True)
class Sort:
    """One order that a list offers. The id decides between equals, downwards when ``id_down``.

    ``nullable``: rows without a value stand at the end, whichever way round.
    """

    name: str
    column: str
    down: bool = False
    id_down: bool = False
    nullable: bool = False
    kind: type = datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two rows: the sort value and the id of the row beside it, and the direction of reading."""

    value: Any
    row_id: UUID
    backwards: bool


def order(sort: Sort, *, backwards: bool = False) -> list[Any]:
    """What to order by, reading from the end when ``backwards``."""
    down = sort.down is not backwards
    # Empty values come last when reading forwards, so they come first when reading backwards. Said only where there may be
    # any: elsewhere it would keep the index from serving the order.
    edges: dict[str, Any] = {("nulls_first" if backwards else "nulls_last"): True} if sort.nullable else {}
    column = F(sort.column)
    by_id = F("id").desc() if sort.id_down is not backwards else F("id").asc()
    return [column.desc(**edges) if down else column.asc(**edges), by_id]


def beyond(sort: Sort, cursor: Cursor) -> Q:
    """The rows behind the cursor in the direction of reading."""
    column = sort.column
    side = "lt" if sort.down is not cursor.backwards else "gt"
    id_side = "lt" if sort.id_down is not cursor.backwards else "gt"
    tie = Q(**{f"id__{id_side}": cursor.row_id})
    if cursor.value is None:
        empty = Q(**{f"{column}__isnull": True}) & tie
        return empty | Q(**{f"{column}__isnull": False}) if cursor.backwards else empty
    # The first condition is implied by the second; it is what lets the index start at the right place.
    behind = Q(**{f"{column}__{side}e": cursor.value}) & (Q(**{f"{column}__{side}": cursor.value}) | tie)
    if sort.nullable and not cursor.backwards:
        behind |= Q(**{f"{column}__isnull": True})
    return behind


def encode(sort: Sort, value: Any, row_id: Any, *, backwards: bool = False) -> str:
    """The cursor beside the row with this sort value and id, as text for an address."""
    if isinstance(value, datetime):
        value = value.isoformat()
    raw = orjson.dumps([sort.name, value, str(row_id), backwards])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str, sort: Sort) -> Cursor | None:
    """The cursor that a text of encode() stands for; None for one that is damaged, of another order or invented."""
    if len(text) > CURSOR_MAX or not text.isascii():
        return None
    try:
        parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(parts, list) or len(parts) != 4:
        return None
    name, value, row_id, backwards = parts
    if name != sort.name or not isinstance(row_id, str) or not is_uuid(row_id) or not isinstance(backwards, bool):
        return None
    if value is not None or not sort.nullable:
        value = _typed(value, sort.kind)
        if value is None:
            return None
    return Cursor(value, UUID(row_id), backwards)


def _typed(value: Any, kind: type) -> Any:
    """The value as the column's type, or None when it is something else."""
    if kind is datetime:
        try:
            parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
            # In UTC: the database does not know every offset that Python reads.
            return parsed.astimezone(UTC) if parsed is not None and parsed.tzinfo is not None else None
        except (ValueError, OverflowError):
            return None
    if kind is int:
        return value if type(value) is int and -(2**31) <= value < 2**31 else None
    return value if isinstance(value, str) and "\x00" not in value else None
