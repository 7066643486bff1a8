"""Why this SLA? Which policies were asked for a ticket, in which order, and what each of them missed in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from itsm.access.decide import authorize
from itsm.kernel.actor import Actor
from itsm.sla.book import Book, book, facets_of, terms_of
from itsm.sla.models import Metric, SlaCalendarVersion, SlaPolicyVersion
from itsm.sla.terms import CONDITIONS, Condition, Facets
from itsm.tenancy.fields import TenantModel
from itsm.tenancy.models import Organisation, Team
from itsm.tickets.models import Category, Service, Ticket

_NAMED: dict[str, type[TenantModel]] = {
    "service": Service,
    "category": Category,
    "organisation": Organisation,
    "team": Team,
}


@dataclass(frozen=True, slots=True)
class Miss:
    """A condition that the ticket does not meet: what it wants, and what the ticket has (nothing: it has none of it)."""

    condition: str
    wanted: tuple[str, ...]
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A policy that was asked. ``target`` is the number of its target that holds, from 1; without one, ``misses`` say why.

    ``misses`` has one entry for what applies says, when that is not met, and otherwise one for each target.
    """

    policy_id: UUID
    name: str
    version: int
    target: int | None
    promise: str
    misses: tuple[tuple[Miss, ...], ...]


@dataclass(frozen=True, slots=True)
class Match:
    """What one metric of a ticket is promised now: the policies that were asked, the last of which holds if any does."""

    metric: str
    asked: tuple[Asked, ...]
    calendar: str
    calendar_source: str
    #: Names of active policies that were not asked any more.
    not_asked: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> Asked | None:
        """The policy that means the ticket."""
        return self.asked[-1] if self.asked and self.asked[-1].target is not None else None


def explain_match(actor: Actor, ticket: Ticket) -> list[Match]:
    """For each metric, which policy means the ticket as it is now, and why those before it do not.

    The ticket is one that the actor found through visible_to(). Raises Forbidden for who only waits for it. A clock that
    runs keeps the version under which it started until the ticket is asked again; its explanation names that.
    """
    authorize(actor, "ticket.read_internal", ticket)
    found = book(actor.tenant_id)
    versions = [version for policies in found.policies.values() for _, version in policies]
    asks = frozenset().union(*(terms_of(actor.tenant_id, version).asks() for version in versions))
    facets = facets_of(ticket, asks)
    names = _names(facets, [terms_of(actor.tenant_id, version).applies for version in versions] + [
        row.when for version in versions for row in terms_of(actor.tenant_id, version).rows
    ])  # fmt: skip
    rows = SlaPolicyVersion.objects.filter(tenant_id=actor.tenant_id, pk__in=versions).select_related("policy")
    stored = {row.pk: row for row in rows}
    return [_match(found, metric, ticket, facets, stored, names) for metric in Metric.values]


def _match(
    found: Book,
    metric: str,
    ticket: Ticket,
    facets: Facets,
    stored: Mapping[UUID, SlaPolicyVersion],
    names: Mapping[str, str],
) -> Match:
    asked: list[Asked] = []
    policies = found.policies.get(metric, [])
    for _, version_id in policies:
        asked.append(_ask(found.tenant_id, stored[version_id], facets, names))
        if asked[-1].target is not None:
            break
    calendar = source = ""
    promise = found.promise(metric, ticket)
    if promise is not None:
        version = SlaCalendarVersion.objects.select_related("calendar").get(pk=promise.calendar_version_id)
        calendar, source = version.calendar.name, promise.terms.calendar_source
    rest = tuple(stored[version_id].policy.name for _, version_id in policies[len(asked) :])
    return Match(metric, tuple(asked), calendar, source, rest)


def _ask(tenant_id: UUID, version: SlaPolicyVersion, facets: Facets, names: Mapping[str, str]) -> Asked:
    terms = terms_of(tenant_id, version.pk)
    row = terms.row_for(facets)
    misses: tuple[tuple[Miss, ...], ...] = ()
    if row is None:
        general = _misses(facets, terms.applies, names)
        misses = (general,) if general else tuple(_misses(facets, one.when, names) for one in terms.rows)
    return Asked(
        policy_id=version.policy_id,
        name=version.policy.name,
        version=version.version,
        target=None if row is None else terms.rows.index(row) + 1,
        promise="" if row is None else row.promise,
        misses=misses,
    )


def _misses(facets: Facets, condition: Condition, names: Mapping[str, str]) -> tuple[Miss, ...]:
    return tuple(
        Miss(name, _shown(condition[name], names), _shown(facets.values.get(name, frozenset()), names))
        for name in CONDITIONS
        if name in condition and not facets.values.get(name, frozenset()) & condition[name]
    )


def _shown(values: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(names.get(value, value) for value in values))


def _names(facets: Facets, conditions: Iterable[Condition]) -> dict[str, str]:
    """What services, categories, organisations and teams are called, by id: at most one statement for each."""
    wanted: dict[str, set[str]] = {name: set(facets.values.get(name, ())) for name in _NAMED}
    for condition in conditions:
        for name in _NAMED:
            wanted[name] |= condition.get(name, frozenset())
    return {
        str(pk): name
        for what, ids in wanted.items()
        if ids
        for pk, name in _NAMED[what].objects.filter(pk__in=ids).values_list("pk", "name")
    }
