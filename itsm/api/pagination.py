"""Pages of the API: what ``limit``, ``cursor`` and ``count`` ask for, and the addresses of the neighbouring pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.api.filters import bad_parameter, whole, yes_or_no
from itsm.tickets.keyset import Cursor, Sort, beyond, decode, encode, order

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
#: A total is counted up to here; beyond, ``total_is_capped`` says so.
COUNT_MAX = 10_000
PAGE_PARAMETERS = ("cursor", "limit", "count")


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
    cursor = _cursor(given["cursor"], sort) if "cursor" in given else None
    backwards = cursor is not None and cursor.backwards
    total = capped = None
    if "count" in given and yes_or_no("count", given["count"]):
        found = queryset.order_by()[: COUNT_MAX + 1].count()
        total, capped = min(found, COUNT_MAX), found > COUNT_MAX
    chosen = queryset if cursor is None else queryset.filter(beyond(sort, cursor))
    rows = fetch(chosen.order_by(*order(sort, backwards=backwards))[: limit + 1])
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


def _address(request: Request, sort: Sort, row: Mapping[str, Any], *, backwards: bool) -> str:
    return with_query(request, cursor=encode(sort, row[sort.column], row["id"], backwards=backwards))


def _cursor(text: str, sort: Sort) -> Cursor:
    cursor = decode(text, sort)
    if cursor is None:
        raise bad_parameter(
            "cursor", "invalid_cursor", "cursor must come from the next or previous of a page with the same sort."
        )
    return cursor


def with_query(request: Request, **changes: str) -> str:
    """The address of this request with some parameters changed."""
    query: QueryDict = request.query_params.copy()
    for name, value in changes.items():
        query[name] = value
    query.pop("count", None)
    return f"{request.build_absolute_uri(request.path)}?{query.urlencode()}"
