"""Lists of tickets: one typed query for web, API and exports. Knows no HTTP: a door hands over plain strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, F, Func, Q, QuerySet
from django.utils.dateparse import parse_datetime

from itsm.access.decide import visible_to
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.tickets import keyset
from itsm.tickets.keyset import Cursor, Sort
from itsm.tickets.kinds import KINDS, states_called
from itsm.tickets.lines import Line, Statement, lines, statement_of
from itsm.tickets.models import OPEN_CATEGORIES, StateCategory, Ticket
from itsm.tickets.placement import told_placement
from itsm.tickets.search import hits

PAGE = 50
PAGE_MAX = 200
#: More hits than this are cut off before the other filters apply; the words should be narrower then.
_HITS_MAX = 500
_VALUES_MAX = 50
#: Lists and views of open work are counted up to here: counting all of it would take longer the more there is.
COUNT_MAX = 1000
#: What each of them narrows open work by, as _view() does.
_COUNTED = {
    "mine": "AND tickets_ticket.assignee_id = %s",
    "unassigned": "AND tickets_ticket.assignee_id IS NULL",
    "open": "",
    "urgent": "AND tickets_ticket.priority <= 2",
    "waiting": "AND tickets_ticket.state_category = 'waiting'",
    "major": "AND tickets_ticket.is_major",
    "due": "AND tickets_ticket.due_at IS NOT NULL",
    "breached": "AND tickets_ticket.due_at < %s",
}

#: Views by name. A view is a starting point that the other filters narrow.
VIEWS = ("mine", "unassigned", "open", "urgent", "waiting", "major", "due", "breached", "done", "all")
#: The order of a view where none is asked for: soonest first in those of deadlines, most urgent first in the others.
_ORDERS = {"due": "due", "breached": "due"}
#: Orders by name. A leading "-" turns one round; without a sort, most urgent first. Among equals, the newest first.
SORTS = {
    sort.name: sort
    for name, column, nullable, kind in (
        ("priority", "priority", False, int),
        ("updated", "updated_at", False, datetime),
        ("opened", "opened_at", False, datetime),
        ("due", "due_at", True, datetime),
        ("number", "number", False, str),
    )
    for sort in (
        Sort(name, column, id_down=True, nullable=nullable, kind=kind),
        Sort(f"-{name}", column, down=True, id_down=True, nullable=nullable, kind=kind),
    )
}
_FILTERS = (
    "view",
    "kind",
    "state",
    "state_category",
    "priority",
    "team",
    "assignee",
    "requester",
    "service",
    "category",
    "parent",
    "major",
    "updated_since",
    "opened_since",
    "q",
)
PARAMETERS = frozenset({*_FILTERS, "sort", "after", "limit"})

NONE: Literal["none"] = "none"
#: Ids to match; "none" matches tickets where the field is empty.
Ids = tuple[UUID | Literal["none"], ...]


@dataclass(frozen=True, slots=True)
class QueueQuery:
    """What to list. Empty means "do not filter"; values of one field are alternatives, fields narrow each other."""

    view: str = "all"
    kinds: tuple[str, ...] = ()
    states: tuple[tuple[str, int], ...] = ()
    categories: tuple[str, ...] = ()
    priorities: tuple[int, ...] = ()
    teams: Ids = ()
    assignees: Ids = ()
    requesters: Ids = ()
    services: Ids = ()
    service_categories: Ids = ()
    parents: Ids = ()
    major: bool | None = None
    updated_since: datetime | None = None
    opened_since: datetime | None = None
    words: str = ""
    sort: str = "priority"
    after: str = ""
    limit: int = PAGE


@dataclass(frozen=True, slots=True)
class Page:
    """One page of tickets; ``next`` is the cursor of the following one, empty at the end."""

    tickets: Sequence[Line]
    next: str


def parse(actor: Actor, given: Mapping[str, Sequence[str]]) -> QueueQuery:
    """The query that these parameters mean; values may repeat or be separated by commas; ``me`` is the actor.

    Raises Invalid naming every unknown parameter and every value that cannot be used.
    """
    problems = Problems()
    for unknown in sorted(set(given) - PARAMETERS):
        problems.add(unknown[:40], "unknown_parameter", f"Known parameters: {', '.join(sorted(PARAMETERS))}.")
    values = {name: _split(problems, name, given.get(name, ())) for name in _FILTERS if name != "q"}
    view = _choice(problems, "view", values["view"], VIEWS) or "all"
    query = QueueQuery(
        view=view,
        kinds=_choices(problems, "kind", values["kind"], tuple(KINDS)),
        states=_states(problems, values["state"]),
        categories=_choices(problems, "state_category", values["state_category"], tuple(StateCategory.values)),
        priorities=tuple(int(p) for p in _choices(problems, "priority", values["priority"], ("1", "2", "3", "4", "5"))),
        teams=_ids(problems, "team", values["team"], mine=tuple(sorted(actor.team_ids))),
        assignees=_ids(problems, "assignee", values["assignee"], mine=_me(actor)),
        requesters=_ids(problems, "requester", values["requester"], mine=_me(actor)),
        services=_ids(problems, "service", values["service"]),
        service_categories=_ids(problems, "category", values["category"]),
        parents=_ids(problems, "parent", values["parent"]),
        major=_flag(problems, "major", values["major"]),
        updated_since=_instant(problems, "updated_since", values["updated_since"]),
        opened_since=_instant(problems, "opened_since", values["opened_since"]),
        words=_last(given.get("q", ())).replace("\x00", " ").strip()[:400],
        sort=_sort(problems, _last(given.get("sort", ())), _ORDERS.get(view, "priority")),
        after=_last(given.get("after", ())),
        limit=_limit(problems, _last(given.get("limit", ()))),
    )
    problems.raise_if_any()
    if query.after:
        _place(query)
    return query


def tickets_for(actor: Actor, query: QueueQuery) -> QuerySet[Ticket]:
    """All visible tickets that the query means, neither ordered nor cut into pages. For counts and exports."""
    tickets = visible_to(actor, Ticket.objects.all()).filter(_view(actor, query.view))
    if query.kinds:
        tickets = tickets.filter(kind__in=query.kinds)
    if query.states:
        states = Q()
        for kind, code in query.states:
            states |= Q(kind=kind, state=code)
        tickets = tickets.filter(states)
    if query.categories:
        tickets = tickets.filter(_in_category(query.categories))
    if query.priorities:
        tickets = tickets.filter(priority__in=query.priorities)
    for field, ids in (
        ("team", query.teams),
        ("assignee", query.assignees),
        ("requester", query.requesters),
        ("service", query.services),
        ("category", query.service_categories),
        ("parent", query.parents),
    ):
        if ids:
            tickets = tickets.filter(_one_of(field, ids))
            if field in {"team", "assignee"}:
                # Asking one by one must not tell what the ticket does not.
                tickets = told_placement(actor, tickets)
    if query.major is not None:
        tickets = tickets.filter(is_major=query.major)
    if query.updated_since:
        tickets = tickets.filter(updated_at__gte=query.updated_since)
    if query.opened_since:
        tickets = tickets.filter(opened_at__gte=query.opened_since)
    if query.words:
        # The index is a moment behind; the number of a ticket that was opened just now finds it all the same.
        tickets = tickets.filter(hits(actor, query.words, limit=_HITS_MAX) | Q(number=query.words.upper()))
    return tickets


def page(actor: Actor, query: QueueQuery) -> Page:
    """One page, by keyset: rows that change places between two pages are neither lost nor shown for ever."""
    named = query == QueueQuery(view=query.view, sort=query.sort) and query.view != "breached"
    chosen = (_named if named else _chosen)(actor, query)
    found = [] if chosen is None else lines(*chosen)
    sort = SORTS[query.sort]
    more = len(found) > query.limit
    found = found[: query.limit]
    return Page(found, keyset.encode(sort, getattr(found[-1], sort.column), found[-1].pk) if more else "")


def _chosen(actor: Actor, query: QueueQuery) -> Statement | None:
    """The statement that finds one row more than the page has; None where the actor sees nothing of it."""
    tickets, sort = tickets_for(actor, query), SORTS[query.sort]
    if query.after:
        tickets = tickets.filter(keyset.beyond(sort, _place(query)))
    return statement_of(tickets.order_by(*keyset.order(sort))[: query.limit + 1])


#: Of a view as it is, asked for all day. Its statement changes with the actor's rights alone (that of "breached" with time).
_named = lru_cache(maxsize=2048)(_chosen)


def _place(query: QueueQuery) -> Cursor:
    found = keyset.decode(query.after, SORTS[query.sort])
    if found is None or found.backwards:
        raise Invalid.one("after", "bad_cursor", "This cursor is damaged or of another list. Start without it.")
    return found


def counts(actor: Actor) -> dict[str, int]:
    """How many tickets each view of open work holds for the actor, in one query. More than COUNT_MAX are not told apart."""
    if (open_work := _open_work(actor)) is None:
        return dict.fromkeys(_COUNTED, 0)
    base, params = open_work
    each = [f"(SELECT count(*) FROM ({base} {also} LIMIT {COUNT_MAX + 1}) v)" for also in _COUNTED.values()]
    own: dict[str, list[Any]] = {"mine": [actor.person_id], "breached": [clock.now()]}
    values = [part for name in _COUNTED for part in (*params, *own.get(name, ()))]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(each)}", values)
        return dict(zip(_COUNTED, cursor.fetchone(), strict=True))


@lru_cache(maxsize=2048)
def _open_work(actor: Actor) -> Statement | None:
    """The statement for what the actor sees of open work; None where that is nothing. Kept: it changes with the rights alone."""
    return statement_of(visible_to(actor, Ticket.objects.all()).filter(_in_category(OPEN_CATEGORIES)))


def count(actor: Actor, query: QueueQuery) -> int:
    """How many tickets the query means, counted up to COUNT_MAX + 1: past that nobody needs it exactly."""
    return tickets_for(actor, query)[: COUNT_MAX + 1].count()


def _view(actor: Actor, view: str) -> Q:
    open_work = _in_category(OPEN_CATEGORIES)
    return {
        "all": Q(),
        "open": open_work,
        "mine": open_work & Q(assignee_id=actor.person_id) if actor.person_id else Q(pk__in=[]),
        "unassigned": open_work & Q(assignee_id__isnull=True),
        "urgent": open_work & Q(priority__lte=2),
        "waiting": _in_category([StateCategory.WAITING]),
        "major": open_work & Q(is_major=True),
        "due": open_work & Q(due_at__isnull=False),
        # The spine carries the earliest deadline of the open clocks, and one that has passed while they wait: see sla/course.py.
        "breached": open_work & Q(due_at__lt=clock.now()),
        "done": _in_category([StateCategory.DONE]),
    }[view]


def _in_category(categories: Sequence[str]) -> Q:
    """Said with constants, not with parameters: the database knows from a plan that it made before that a partial index serves."""
    listed = ", ".join(f"'{StateCategory(category).value}'" for category in categories)
    within: Any = Func(F("state_category"), template=f"%(expressions)s IN ({listed})", output_field=BooleanField())
    return Q(within)


def _one_of(field: str, ids: Ids) -> Q:
    condition = Q(**{f"{field}_id__in": [value for value in ids if value != NONE]})
    return condition | Q(**{f"{field}_id__isnull": True}) if NONE in ids else condition


# --- Reading parameters ----------------------------------------------------------------------------------------------


def _split(problems: Problems, name: str, values: Sequence[str]) -> list[str]:
    parts = [part.strip() for value in values for part in value.split(",") if part.strip()]
    if len(parts) > _VALUES_MAX:
        problems.add(name, "too_many", f"{name} takes at most {_VALUES_MAX} values.", limit=_VALUES_MAX)
        return []
    return list(dict.fromkeys(parts))


def _last(values: Sequence[str]) -> str:
    return values[-1].strip() if values else ""


def _choices(problems: Problems, name: str, values: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if value not in known:
            choices = ", ".join(known)
            problems.add(name, "unknown_value", f"{value[:40]} is not one of {choices}.", known=choices)
    return tuple(value for value in values if value in known)


def _choice(problems: Problems, name: str, values: Sequence[str], known: Sequence[str]) -> str:
    chosen = _choices(problems, name, values, known)
    if len(values) > 1:
        problems.add(name, "too_many", f"{name} takes one value.", limit=1)
    return chosen[0] if chosen else ""


def _states(problems: Problems, values: Sequence[str]) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for value in values:
        named = states_called(value)
        if not named:
            known = ", ".join(sorted({state.key for kind in KINDS.values() for state in kind.flow.states.values()}))
            problems.add("state", "unknown_value", f"{value[:40]} is not one of {known}.", known=known)
        found.extend(named)
    return tuple(found)


def _me(actor: Actor) -> tuple[UUID, ...]:
    return (actor.person_id,) if actor.person_id else ()


def _ids(problems: Problems, name: str, values: Sequence[str], *, mine: tuple[UUID, ...] | None = None) -> Ids:
    found: list[UUID | Literal["none"]] = []
    for value in values:
        if value == NONE:
            found.append(NONE)
        elif value == "me" and mine is not None:
            # Nobody's own is no ticket at all, not every ticket.
            found.extend(mine or (UUID(int=0),))
        else:
            try:
                found.append(UUID(value))
            except ValueError:
                special = "an id, none or me" if mine is not None else "an id or none"
                problems.add(name, "not_an_id", f"{name} takes {special}.")
    return tuple(found)


def _flag(problems: Problems, name: str, values: Sequence[str]) -> bool | None:
    chosen = _choice(problems, name, values, ("true", "false"))
    return None if not chosen else chosen == "true"


def _instant(problems: Problems, name: str, values: Sequence[str]) -> datetime | None:
    if not values:
        return None
    try:
        found = parse_datetime(values[-1])
        if found is not None and found.tzinfo is not None:
            # In UTC: the database does not know every offset that Python reads.
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    problems.add(name, "not_an_instant", f"{name} takes an instant with its zone, such as 2026-01-31T09:00:00Z.")
    return None


def _sort(problems: Problems, value: str, usual: str) -> str:
    if not value:
        return usual
    if value not in SORTS:
        known = ", ".join(name for name in SORTS if not name.startswith("-"))
        detail = f"sort takes one of {known}, with - in front for downwards."
        problems.add("sort", "unknown_value", detail, known=known)
        return usual
    return value


def _limit(problems: Problems, value: str) -> int:
    if not value:
        return PAGE
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and 1 <= int(value) <= PAGE_MAX):
        problems.add("limit", "out_of_range", f"limit is a number from 1 to {PAGE_MAX}.", low=1, high=PAGE_MAX)
        return PAGE
    return int(value)
