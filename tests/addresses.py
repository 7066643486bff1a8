"""Every address of the product, from the URL configuration, and what to put in place of its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.urls import URLResolver, get_resolver

from itsm.access.models import ApiToken
from itsm.escalation.models import EscalationPolicy
from itsm.notify.models import Endpoint, MessageTemplate, Notification
from itsm.oncall.models import OnCallFeed, OnCallOverride, OnCallSchedule
from itsm.sla.models import SlaCalendar, SlaPolicy
from itsm.tenancy.models import Organisation
from itsm.tickets.models import Attachment, Category, Service, TicketLink

#: How the name ends of an address of the API without its last slash: the same view, as tests/api/test_addresses.py has it.
BARE = "-bare"


@dataclass(frozen=True)
class Route:
    """An address as the URL configuration writes it."""

    pattern: str

    @property
    def parameters(self) -> list[str]:
        return [name for _, name in re.findall(r"<(?:(\w+):)?(\w+)>", self.pattern)]

    def fill(self, values: dict[str, str]) -> str:
        path = self.pattern
        for name, value in values.items():
            path = re.sub(rf"\(\?P<{name}>[^)]*\)|<(?:\w+:)?{name}>", value, path)
        return "/" + path.replace("^", "").replace("$", "").replace(".*", "nowhere")


def walk() -> Iterator[tuple[str, Any]]:
    """Every route as Django names it in ``resolver_match.route``, with its pattern."""

    def inside(resolver: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        for entry in resolver.url_patterns:
            part = str(entry.pattern)
            here = prefix + (part.removeprefix("^") if prefix else part)
            if isinstance(entry, URLResolver):
                yield from inside(entry, here)
            else:
                yield here, entry

    return inside(get_resolver(), "")


def routes() -> list[Route]:
    """Every address once; those of the API that only lack the last slash are left out."""
    found = (route for route, entry in walk() if not (entry.name or "").endswith(BARE))
    return [Route(route) for route in dict.fromkeys(found)]


def first(model: Any) -> str:
    return str(model.objects.values_list("pk", flat=True).order_by("pk").last())


def subject_of(route: Route, ticket: Any) -> Callable[[str], str]:
    """How to fill each parameter of a route with something that is really there. Call it inside the tenant."""
    keys = {
        "api/v1/me/notifications/": lambda: first(Notification),
        "api/v1/me/calendar-addresses/": lambda: first(OnCallFeed),
        "api/v1/webhook-endpoints/": lambda: first(Endpoint),
        "api/v1/message-templates/": lambda: first(MessageTemplate),
        "api/v1/incidents/": lambda: str(ticket.pk),
        "api/v1/tokens/": lambda: first(ApiToken),
        "api/v1/teams/": lambda: first(apps.get_model("tenancy", "Team")),
        "api/v1/users/": lambda: str(ticket.requester_id),
        "api/v1/organisations/": lambda: first(Organisation),
        "api/v1/sla-calendars/": lambda: first(SlaCalendar),
        "api/v1/sla-policies/": lambda: first(SlaPolicy),
        "api/v1/services/": lambda: first(Service),
        "api/v1/categories/": lambda: first(Category),
        "api/v1/escalation-policies/": lambda: first(EscalationPolicy),
        "api/v1/on-call-schedules/": lambda: first(OnCallSchedule),
    }

    def fill(name: str) -> str:
        match name:
            case "key":
                return next(value() for prefix, value in keys.items() if route.pattern.startswith(prefix))
            case "number":
                return str(ticket.number)
            case "link":
                return first(TicketLink)
            case "file" | "file_id":
                return first(Attachment)
            case "notification_id":
                return first(Notification)
            case "token":
                return "nobody-s"
            case "schedule_id":
                return first(OnCallSchedule)
            case "override" | "override_id":
                return first(OnCallOverride)
            case "feed_id":
                return first(OnCallFeed)
            case "secret":
                # Only its hash is known; tests/oncall/test_calendars.py has the real ones.
                return "A" * 43
            case "token_id":
                return first(ApiToken)
            case "name":
                return "take"
            case "object_id":
                _, label, model = route.pattern.split("/")[:3]
                return first(apps.get_model(label, model))
            case "app_label":
                return "tickets"
            case "url":
                return "nowhere/"
        raise KeyError(name)

    return fill
