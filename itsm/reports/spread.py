"""How values are spread: count, ends, quartiles, mean. Quantiles are interpolated between neighbours (SQL's percentile_cont)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.db import connection
from django.db.models import Aggregate, ExpressionWrapper, F, FloatField
from django.db.models.expressions import Combinable
from django.db.models.functions import Extract

#: A report may take longer than a page, but not for ever.
_TIMEOUT_MS: Final = 60_000
DIGITS: Final = 4


class Quantile(Aggregate):
    """The value below which the share ``at`` (0 to 1) of all values lies."""

    function = "percentile_cont"
    template = "percentile_cont(%(at)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    allow_distinct = False

    def __init__(self, expression: Any, at: float) -> None:
        super().__init__(expression, at=float(at), output_field=FloatField())


def hours_between(start: str, end: str) -> Combinable:
    """Hours from one instant to another, with a fraction; null when one of them is."""
    return ExpressionWrapper(Extract(F(end) - F(start), "epoch") / 3600.0, output_field=FloatField())


def rounded(value: Any) -> float | None:
    """A figure as it is shown."""
    return None if value is None else round(float(value), DIGITS)


def quantile(counts: Mapping[int, int], at: float) -> float | None:
    """The same for counted whole numbers: value → how often."""
    total = sum(counts.values())
    if not total:
        return None
    place = at * (total - 1)
    below, share = int(place), place - int(place)
    low, high = _nth(counts, below), _nth(counts, min(below + 1, total - 1))
    return low + (high - low) * share


def _nth(counts: Mapping[int, int], position: int) -> int:
    passed = 0
    for value in sorted(counts):
        passed += counts[value]
        if passed > position:
            return value
    return max(counts)


@contextmanager
def patient() -> Iterator[None]:
    """Let statements of this transaction run longer than those of a page usually may, and plan them for whole tables.

    Just after an import the database has no statistics yet: it believes that nested loops over what was loaded are cheap.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        before = cursor.fetchone()[0]
        cursor.execute(f"SET LOCAL statement_timeout = {_TIMEOUT_MS}; SET LOCAL enable_nestloop = off")
        yield
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('enable_nestloop', 'on', true)", [before]
        )
