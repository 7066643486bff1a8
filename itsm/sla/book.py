"""What a tenant promises now: its active policies in order, and the newest hours of its calendars.

Versions never change, so what they compile to is kept per process; a question costs one statement that reads ids.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import connection

from itsm.sla.calendar import BusinessTime, Succession
from itsm.sla.calendar_file import read_hours
from itsm.sla.models import CalendarChoice, SlaCalendarVersion, SlaPolicyVersion
from itsm.sla.terms import Facets, Row, Terms, read_terms
from itsm.tenancy.models import Organisation, Person
from itsm.tickets.models import Category, Ticket

T = TypeVar("T")

_CURRENT = """
SELECT 'policy', p.id, (SELECT v.id FROM sla_slapolicyversion v WHERE v.tenant_id = p.tenant_id AND v.policy_id = p.id
    ORDER BY v.version DESC LIMIT 1), p.position, p.metric
  FROM sla_slapolicy p WHERE p.tenant_id = %(tenant)s AND p.is_active
UNION ALL
SELECT 'calendar', c.id, (SELECT v.id FROM sla_slacalendarversion v WHERE v.tenant_id = c.tenant_id AND v.calendar_id = c.id
    ORDER BY v.version DESC LIMIT 1), 0, ''
  FROM sla_slacalendar c WHERE c.tenant_id = %(tenant)s
ORDER BY 4, 2
"""


class Kept(Generic[T]):
    """The compiled forms that were used last, by version id."""

    def __init__(self, most: int, load: Callable[[UUID, UUID], T]) -> None:
        self._most, self._load = most, load
        self._found: OrderedDict[UUID, T] = OrderedDict()

    def get(self, tenant_id: UUID, version_id: UUID) -> T:
        found = self._found.get(version_id)
        if found is None:
            found = self._load(tenant_id, version_id)
            while len(self._found) >= self._most:
                self._found.popitem(last=False)
        else:
            self._found.pop(version_id, None)
        self._found[version_id] = found
        return found


def _load_terms(tenant_id: UUID, version_id: UUID) -> Terms:
    version = SlaPolicyVersion.objects.select_related("policy").get(tenant_id=tenant_id, pk=version_id)
    return read_terms(version.policy.metric, version.terms)


def _load_time(tenant_id: UUID, version_id: UUID) -> BusinessTime:
    version = SlaCalendarVersion.objects.get(tenant_id=tenant_id, pk=version_id)
    parts = SlaCalendarVersion.objects.filter(
        tenant_id=tenant_id, calendar_id=version.calendar_id, version__lte=version.version
    ).order_by("version")
    return BusinessTime(Succession(tuple((part.effective_from, read_hours(part.hours)) for part in parts)))


_terms: Kept[Terms] = Kept(2000, _load_terms)
#: A compiled calendar takes about 40 kB.
_times: Kept[BusinessTime] = Kept(500, _load_time)


def terms_of(tenant_id: UUID, version_id: UUID) -> Terms:
    """The terms of a policy version."""
    return _terms.get(tenant_id, version_id)


def business_time(tenant_id: UUID, version_id: UUID) -> BusinessTime:
    """The hours of a calendar as this version of it knows them, with those of its earlier ones before its date."""
    return _times.get(tenant_id, version_id)


@dataclass(frozen=True, slots=True)
class Promise:
    """What one metric of one ticket is promised: by which policy version and target, and by which hours."""

    policy_id: UUID
    version_id: UUID
    terms: Terms
    row: Row
    calendar_version_id: UUID


class Trees:
    """What stands above categories and organisations, remembered from one ticket to the next."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, UUID], list[UUID]] = {}

    def path(self, category_id: UUID | None) -> list[UUID]:
        """The category and those above it."""
        return self._remembered("category", category_id, _path)

    def organisations(self, person_id: UUID | None) -> list[UUID]:
        """The person's organisation and those above it, nearest first."""
        return self._remembered("person", person_id, _organisations)

    def _remembered(self, what: str, pk: UUID | None, find: Callable[[UUID | None], list[UUID]]) -> list[UUID]:
        if pk is None:
            return []
        if (what, pk) not in self._paths:
            self._paths[what, pk] = find(pk)
        return self._paths[what, pk]


@dataclass(frozen=True, slots=True)
class Book:
    """The tenant's promises as they stand now."""

    tenant_id: UUID
    #: By metric, in order: (policy, its newest version).
    policies: dict[str, list[tuple[UUID, UUID]]]
    #: Newest version of each calendar.
    calendars: dict[UUID, UUID]
    #: Terms that are tried and not stored, by the version that stands for them in ``policies``.
    drafts: Mapping[UUID, Terms] = field(default_factory=dict)
    #: For many tickets in a row.
    trees: Trees | None = None

    def promise(self, metric: str, ticket: Ticket) -> Promise | None:
        """The first policy of this metric that has a target for the ticket; None when nothing is promised."""
        facets: Facets | None = None
        for policy_id, version_id in self.policies.get(metric, ()):
            terms = self._terms(version_id)
            if facets is None:
                facets = facets_of(ticket, self._asked(), self.trees)
            row = terms.row_for(facets)
            if row is not None:
                return Promise(policy_id, version_id, terms, row, self._calendar(terms, row, ticket))
        return None

    def _asked(self) -> frozenset[str]:
        versions = [version for policies in self.policies.values() for _, version in policies]
        return frozenset().union(*(self._terms(version).asks() for version in versions))

    def _terms(self, version_id: UUID) -> Terms:
        return self.drafts.get(version_id) or terms_of(self.tenant_id, version_id)

    def _calendar(self, terms: Terms, row: Row, ticket: Ticket) -> UUID:
        chosen: UUID | None = None
        if terms.calendar_source == "service" and ticket.service_id is not None:
            chosen = _choice(service_id=ticket.service_id)
        elif terms.calendar_source == "requester":
            nearest = (_choice(organisation_id=found) for found in _organisations(ticket.requester_id))
            chosen = next((calendar_id for calendar_id in nearest if calendar_id is not None), None)
        return self.calendars[chosen or row.calendar or terms.calendar]


def book(tenant_id: UUID) -> Book:
    """The tenant's promises now: one statement."""
    policies: dict[str, list[tuple[UUID, UUID]]] = {}
    calendars: dict[UUID, UUID] = {}
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT, {"tenant": tenant_id})
        for what, pk, version_id, _, metric in cursor.fetchall():
            if version_id is None:
                continue  # Its first version is being written.
            if what == "policy":
                policies.setdefault(metric, []).append((pk, version_id))
            else:
                calendars[pk] = version_id
    return Book(tenant_id, policies, calendars)


def facets_of(ticket: Ticket, asked: Iterable[str], trees: Trees | None = None) -> Facets:
    """What conditions may ask of the ticket; what costs a statement is looked up when it is asked."""
    asked, trees = frozenset(asked), trees or Trees()
    values: dict[str, list[Any]] = {
        "kind": [ticket.kind],
        "priority": [ticket.priority],
        "impact": [ticket.impact],
        "urgency": [ticket.urgency],
        "service": [ticket.service_id],
        "team": [ticket.team_id],
        "channel": [ticket.channel],
        "category": trees.path(ticket.category_id) if "category" in asked else [],
        "organisation": trees.organisations(ticket.requester_id) if "organisation" in asked else [],
    }
    return Facets(
        {name: frozenset(str(value) for value in found if value is not None) for name, found in values.items()}
    )


def _path(category_id: UUID | None) -> list[UUID]:
    """The category and those above it."""
    return _upwards(Category, category_id)


def _organisations(person_id: UUID | None) -> list[UUID]:
    """The person's organisation and those above it, nearest first."""
    if person_id is None:
        return []
    return _upwards(Organisation, Person.objects.filter(pk=person_id).values_list("organisation_id", flat=True).first())


def _upwards(model: type[Category | Organisation], pk: UUID | None) -> list[UUID]:
    found: list[UUID] = []
    while pk is not None and len(found) < 10:
        found.append(pk)
        pk = model.objects.filter(pk=pk).values_list("parent_id", flat=True).first()
    return found


def _choice(**where: Any) -> UUID | None:
    return CalendarChoice.objects.filter(**where).values_list("calendar_id", flat=True).first()
