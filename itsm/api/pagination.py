"""Pages by key, not by number: inserts between two pages neither repeat nor skip a row."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.models import F, Q, QuerySet
from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.api.filters import bad_parameter, whole, yes_or_no
from itsm.kernel.ids import is_uuid

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
#: A total is counted up to here; beyond, ``total_is_capped`` says so.
COUNT_MAX = 10_000
PAGE_PARAMETERS = ("cursor", "limit", "count")
CURSOR_MAX = 1000


@dataclass(frozen=True, slots=True)
class Sort:
    """One order that a list offers. The id decides between equals, downwards when ``id_down``."""

    name: str
    column: str
    down: bool = False
    id_down: bool = False
    nullable: bool = False
    kind: type = datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two rows: the sort values of the row beside it, and the direction of reading."""

    sort: str
    value: Any
    row_id: UUID
    backwards: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Rows and the addresses of the neighbouring pages."""

    rows: list[Any]
    next: str | None
    previous: str | None
    total: int | None = None
    capped: bool = False

    def response(self, results: list[Any]) -> Response:
        """``{"results", "next", "previous"}``, the total when it was asked for, and a Link header."""
        body: dict[str, Any] = {"results": results, "next": self.next, "previous": self.previous}
        if self.total is not None:
            body |= {"total": self.total, "total_is_capped": self.capped}
        response = Response(body)
        links = [f'<{url}>; rel="{rel}"' for rel, url in (("next", self.next), ("prev", self.previous)) if url]
        if links:
            response["Link"] = ", ".join(links)
        return response


def paginate(
    request: Request,
    queryset: QuerySet[Any],
    given: Mapping[str, str],
    sort: Sort,
    fetch: Callable[[QuerySet[Any]], list[dict[str, Any]]],
) -> Page:
    """The page that ``limit`` and ``cursor`` ask for. ``fetch`` turns the sliced queryset into dicts with id and sort column."""
    limit = whole("limit", given["limit"], 1, LIMIT_MAX) if "limit" in given else LIMIT_DEFAULT
    cursor = _decode(given["cursor"], sort) if "cursor" in given else None
    backwards = cursor is not None and cursor.backwards
    total = capped = None
    if "count" in given and yes_or_no("count", given["count"]):
        found = queryset.order_by()[: COUNT_MAX + 1].count()
        total, capped = min(found, COUNT_MAX), found > COUNT_MAX
    chosen = queryset if cursor is None else queryset.filter(_beyond(sort, cursor))
    rows = fetch(chosen.order_by(*_order(sort, backwards))[: limit + 1])
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    has_next = more if not backwards else True
    has_previous = more if backwards else cursor is not None
    return Page(
        rows,
        _address(request, sort, rows[-1], backwards=False) if rows and has_next else None,
        _address(request, sort, rows[0], backwards=True) if rows and has_previous else None,
        total,
        bool(capped),
    )


def _order(sort: Sort, backwards: bool) -> list[Any]:
    down = sort.down is not backwards
    # Empty values come last when reading forwards, so they come first when reading backwards.
    edges: dict[str, Any] = {("nulls_first" if backwards else "nulls_last"): True} if sort.nullable else {}
    column = F(sort.column)
    by_id = F("id").desc() if sort.id_down is not backwards else F("id").asc()
    return [column.desc(**edges) if down else column.asc(**edges), by_id]


def _beyond(sort: Sort, cursor: Cursor) -> Q:
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


def _address(request: Request, sort: Sort, row: Mapping[str, Any], *, backwards: bool) -> str:
    value = row[sort.column]
    if isinstance(value, datetime):
        value = value.isoformat()
    raw = orjson.dumps([sort.name, value, str(row["id"]), backwards])
    return with_query(request, cursor=base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def with_query(request: Request, **changes: str) -> str:
    """The address of this request with some parameters changed."""
    query: QueryDict = request.query_params.copy()
    for name, value in changes.items():
        query[name] = value
    query.pop("count", None)
    return f"{request.build_absolute_uri(request.path)}?{query.urlencode()}"


def _decode(text: str, sort: Sort) -> Cursor:
    wrong = bad_parameter(
        "cursor", "invalid_cursor", "cursor must come from the next or previous of a page with the same sort."
    )
    if len(text) > CURSOR_MAX or not text.isascii():
        raise wrong
    try:
        parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise wrong from None
    if not isinstance(parts, list) or len(parts) != 4:
        raise wrong
    name, value, row_id, backwards = parts
    if name != sort.name or not isinstance(row_id, str) or not is_uuid(row_id) or not isinstance(backwards, bool):
        raise wrong
    if value is not None or not sort.nullable:
        value = _typed(value, sort.kind)
        if value is None:
            raise wrong
    return Cursor(name, value, UUID(row_id), backwards)


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
