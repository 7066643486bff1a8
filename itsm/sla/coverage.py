"""Which promises can come true at all: contradictions inside a policy, and policies that hide one another. Plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from itsm.sla.terms import Row, Terms

#: A ticket has at most one of these. Of a category or an organisation it also has those above, so two may both be true.
_SINGLE = frozenset({"kind", "priority", "impact", "urgency", "service", "team", "channel"})
#: By facet, sets of values each of which must be met.
Demands: TypeAlias = Mapping[str, Sequence[frozenset[str]]]


def demands(terms: Terms, row: Row) -> Demands | None:
    """What a ticket must be to get this target of the policy; None when no ticket can be that."""
    found: dict[str, list[frozenset[str]]] = {}
    for condition in (terms.applies, row.when):
        for name, wanted in condition.items():
            found.setdefault(name, []).append(wanted)
    for name in _SINGLE & set(found):
        both = frozenset.intersection(*found[name])
        if not both:
            return None
        found[name] = [both]
    return found


def contradictions(terms: Terms) -> list[int]:
    """Indexes of the targets that no ticket can get."""
    return [index for index, row in enumerate(terms.rows) if demands(terms, row) is None]


def hidden(terms: Terms, before: Iterable[Terms]) -> bool:
    """Whether every ticket that the policy means is taken by one of those that are asked before it."""
    taken = [found for one in before for row in one.rows if (found := demands(one, row)) is not None]
    own = [found for row in terms.rows if (found := demands(terms, row)) is not None]
    return all(any(_wider(other, mine) for other in taken) for mine in own)


def _wider(first: Demands, second: Demands) -> bool:
    """Whether whatever meets the second demands meets the first."""
    return all(
        any(given <= wanted for given in second.get(name, ()))
        for name, demanded in first.items()
        for wanted in demanded
    )
