"""What policies point at: that it is there, that it is in use, and who uses a calendar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.sla.models import CalendarChoice, SlaCalendar, SlaPolicy, SlaPolicyVersion
from itsm.tenancy.fields import TenantModel
from itsm.tenancy.models import Organisation, Team
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Category, Service

_MODELS: dict[str, type[TenantModel]] = {
    "service": Service,
    "category": Category,
    "organisation": Organisation,
    "team": Team,
    "calendar": SlaCalendar,
}


def check_references(problems: Problems, actor: Actor, terms: Mapping[str, Any]) -> None:
    """Add a problem for each id of well-formed terms that names nothing active, and for kinds that are none."""
    named: dict[str, dict[UUID, list[str]]] = defaultdict(lambda: defaultdict(list))
    for what, place, value in _named(terms):
        if what == "kind":
            if value not in KINDS:
                problems.add(place, "unknown_kind", f"Kinds of ticket are {', '.join(sorted(KINDS))}.")
        else:
            named[what][UUID(value)].append(place)
    for what, places in named.items():
        model = _MODELS[what]
        rows: QuerySet[Any] = model.objects.filter(tenant_id=actor.tenant_id, pk__in=list(places))
        active = set(rows.filter(is_active=True).values_list("pk", flat=True))
        for pk in set(places) - active:
            for place in places[pk]:
                problems.add(place, "unknown_reference", f"There is no active {what} with this id.")


def _named(terms: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(what, place, value) of each reference in terms that read_terms() has read."""
    yield "calendar", "terms/calendar", terms["calendar"]
    conditions = [("terms/applies", terms.get("applies") or {})]
    for index, target in enumerate(terms["targets"]):
        conditions.append((f"terms/targets/{index}/when", target.get("when") or {}))
        if target.get("calendar"):
            yield "calendar", f"terms/targets/{index}/calendar", target["calendar"]
    for place, condition in conditions:
        for name, values in condition.items():
            if name in _MODELS or name == "kind":
                for number, value in enumerate(values):
                    yield name, f"{place}/{name}/{number}", value


def newest_terms(policies: list[SlaPolicy]) -> dict[UUID, SlaPolicyVersion]:
    """The newest version of each policy."""
    versions = SlaPolicyVersion.objects.filter(policy_id__in=[policy.pk for policy in policies])
    return {version.policy_id: version for version in versions.order_by("policy_id", "-version").distinct("policy_id")}


def calendars_of(terms: Mapping[str, Any]) -> set[UUID]:
    """Ids of the calendars that terms name."""
    return {UUID(value) for what, _, value in _named(terms) if what == "calendar"}


def refuse_calendar_in_use(actor: Actor, calendar: SlaCalendar) -> None:
    """Raise Invalid that names the active policies, services and organisations which live by the calendar."""
    policies = list(SlaPolicy.objects.filter(tenant_id=actor.tenant_id, is_active=True).order_by("name"))
    newest = newest_terms(policies)
    users = [
        policy.name
        for policy in policies
        if policy.pk in newest and calendar.pk in calendars_of(newest[policy.pk].terms)
    ]
    chosen = CalendarChoice.objects.filter(tenant_id=actor.tenant_id, calendar_id=calendar.pk)
    users += chosen.filter(service__isnull=False).order_by("service__name").values_list("service__name", flat=True)
    users += (
        chosen.filter(organisation__isnull=False)
        .order_by("organisation__name")
        .values_list("organisation__name", flat=True)
    )
    if users:
        text = ", ".join(users[:10]) + (" …" if len(users) > 10 else "")
        raise Invalid.one("is_active", "in_use", f"It is used by {text}. Give them another calendar first.", users=text)
