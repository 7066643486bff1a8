"""How values are spread: count, ends, quartiles, mean. Quantiles are interpolated between neighbours (SQL's percentile_cont)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import Aggregate, ExpressionWrapper, F, FloatField
from django.db.models.expressions import Combinable
from django.db.models.functions import Extract

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
