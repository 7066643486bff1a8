"""The ways that tickets took through their states: variants, and which state directly follows which.

A ticket's path has one state for each of its events: the one in force after it. What another system recorded counts in
that system's own words, everything else in ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

#: How a variant and an edge are written.
ARROW: Final = " > "
#: Between another system's word for a state (nothing, when we recorded it) and the code of ours.
_MARK: Final = "\x01"

_PATHS = """
WITH cases AS MATERIALIZED ({cases})
SELECT path, count(*), min(begun), max(ended) FROM (
  SELECT array_agg(
    coalesce(e.payload->'source'->>'state', '') || %s || (e.payload->'state'->>1) ORDER BY e.sequence
  ) AS path, min(e.occurred_at) AS begun, max(e.occurred_at) AS ended
  FROM events_event e JOIN cases c ON c.id = e.ticket_id
  WHERE e.tenant_id = %s AND e.ticket_id IS NOT NULL AND ({kinds})
  GROUP BY e.ticket_id
) paths GROUP BY path
"""

Path = tuple[str, ...]


@dataclass
class Paths:
    """Counted paths, and what follows from them."""

    raw: Counter[Path] = field(default_factory=Counter)
    #: For each state's label, the codes of ours that it stood for.
    codes: dict[str, Counter[int]] = field(default_factory=dict)
    #: The first and the last event.
    begun: datetime | None = None
    ended: datetime | None = None

    def add(self, path: Path, times: int = 1) -> None:
        """Count a path ``times`` more often."""
        self.raw[path] += times

    def collapsed(self) -> Counter[Path]:
        """The paths with repeats of the same state taken as one."""
        found: Counter[Path] = Counter()
        for path, times in self.raw.items():
            found[tuple(state for n, state in enumerate(path) if n == 0 or path[n - 1] != state)] += times
        return found

    def states(self) -> Counter[str]:
        """How many events left a ticket in each state."""
        return self._count(lambda path: path)

    def first(self) -> Counter[str]:
        """How many tickets began in each state."""
        return self._count(lambda path: path[:1])

    def last(self) -> Counter[str]:
        """How many tickets are, or ended, in each state."""
        return self._count(lambda path: path[-1:])

    def edges(self) -> Counter[tuple[str, str]]:
        """How often each state directly followed each other one (or itself)."""
        found: Counter[tuple[str, str]] = Counter()
        for path, times in self.raw.items():
            for edge in pairwise(path):
                found[edge] += times
        return found

    def lengths(self) -> Counter[int]:
        """How many tickets have so many events."""
        found: Counter[int] = Counter()
        for path, times in self.raw.items():
            found[len(path)] += times
        return found

    def meaning(self, label: str) -> int | None:
        """The code of ours that a label mostly stands for."""
        known = self.codes.get(label)
        return known.most_common(1)[0][0] if known else None

    def filled(self, path: list[str | None], labels: Mapping[int, str], times: int) -> Iterator[str]:
        """The state after each event as the database answers it; an event that changes none leaves the one before."""
        state = "?"
        for step in path:
            if step is not None:
                theirs, _, text = step.partition(_MARK)
                code = int(text) if text.lstrip("-").isdigit() else 0
                state = theirs or labels.get(code, text)
                self.codes.setdefault(state, Counter())[code] += times
            yield state

    def _count(self, part: Callable[[Path], Path]) -> Counter[str]:
        found: Counter[str] = Counter()
        for path, times in self.raw.items():
            for state in part(path):
                found[state] += times
        return found


def read_paths(tenant_id: UUID, cases: QuerySet[Any], prefixes: tuple[str, ...], labels: Mapping[int, str]) -> Paths:
    """The paths of the tickets in ``cases``, which is narrowed to what the actor sees, from events of these kinds.

    ``labels`` are our own words for our states.
    """
    sql, parameters = cases.values("id").query.sql_with_params()
    kinds = " OR ".join("starts_with(e.kind, %s)" for _ in prefixes)
    statement = _PATHS.replace("{kinds}", kinds).replace("{cases}", sql)
    paths = Paths()
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, _MARK, tenant_id, *prefixes])
        for path, times, begun, ended in cursor:
            paths.add(tuple(paths.filled(path, labels, times)), times)
            paths.begun = min(begun, paths.begun or begun)
            paths.ended = max(ended, paths.ended or ended)
    return paths
