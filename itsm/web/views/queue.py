"""The queue: every kind of work in one list, filtered by its address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from itsm.kernel.errors import Forbidden, Invalid
from itsm.tenancy.models import Person
from itsm.tickets import queue
from itsm.tickets.models import StateCategory
from itsm.web.choices import Choices
from itsm.web.forms import problem_text
from itsm.web.pages import TenantRequest, tenant_page, works_the_queue


@dataclass(frozen=True, slots=True)
class View:
    """A named view in the side bar, with its count of open work."""

    name: str
    label: str
    url: str
    current: bool
    count: str | None


@tenant_page
@require_safe
def queue_page(request: TenantRequest) -> HttpResponse:
    """The list that the address describes. A filter that cannot be used is named, and nothing is guessed for it."""
    if not works_the_queue(request.actor):
        raise Forbidden("ticket.read", _("The queue is for people who work on tickets. Yours are under My requests."))
    given = {name: values for name, values in request.GET.lists() if name in queue.PARAMETERS}
    given.setdefault("view", ["all" if any(given.get("q", [])) else "open"])
    problems: list[tuple[str, str]] = []
    try:
        query = queue.parse(request.actor, given)
    except Invalid as error:
        problems = [(p.pointer.strip("/"), problem_text(p)) for p in error.problems]
        query = queue.QueueQuery(view="open")
    page = queue.page(request.actor, query)
    context = {
        "query": query,
        "page": page,
        "problems": problems,
        "views": _views(request, query),
        "filters": _filters(request, query, given),
        "next_url": _with(request.GET, after=page.next) if page.next else "",
        "first_url": _with(request.GET, after="") if query.after else "",
        "given_view": query.view,
    }
    return render(request, "itsm/queue.html", context, status=400 if problems else 200)


def _views(request: TenantRequest, query: queue.QueueQuery) -> list[View]:
    labels = {
        "mine": _("My open"),
        "unassigned": _("Unassigned"),
        "open": _("All open"),
        "urgent": _("P1 and P2"),
        "waiting": _("Waiting"),
        "done": _("Resolved"),
        "all": _("Everything"),
    }
    most = queue.COUNT_MAX
    counted = {name: f"{most}+" if n > most else str(n) for name, n in queue.counts(request.actor).items()}
    base = reverse("queue")
    return [
        View(name, label, f"{base}?view={name}", query.view == name, counted.get(name))
        for name, label in labels.items()
    ]


def _filters(request: TenantRequest, query: queue.QueueQuery, given: dict[str, list[str]]) -> dict[str, Any]:
    """What the filter form offers, with what is chosen now."""
    choices = Choices(request.actor)
    chosen = {name: {part for value in values for part in value.split(",")} for name, values in given.items()}

    def options(name: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str, bool]]:
        return [(value, label, value in chosen.get(name, ())) for value, label in pairs]

    nobody = ("none", _("None"))
    return {
        "categories": options("state_category", [(v, str(label)) for v, label in StateCategory.choices]),
        "priorities": options("priority", [(str(p), f"P{p}") for p in range(1, 6)]),
        "selects": [
            ("team", _("Team"), options("team", [("me", _("My teams")), nobody, *choices.teams()])),
            ("assignee", _("Assignee"), options("assignee", [("me", _("Me")), nobody, *choices.agents()])),
            ("service", _("Service"), options("service", [nobody, *choices.services()])),
            ("category", _("Category"), options("category", [nobody, *choices.categories()])),
        ],
        "sorts": options(
            "sort",
            [
                ("priority", _("Most urgent first")),
                ("-updated", _("Changed last first")),
                ("-opened", _("Newest first")),
                ("opened", _("Oldest first")),
                ("due", _("Due first")),
            ],
        ),
        "requester": _requester(request, query),
        "words": query.words,
    }


def _requester(request: TenantRequest, query: queue.QueueQuery) -> dict[str, str] | None:
    ids = [found for found in query.requesters if isinstance(found, UUID)]
    if not ids:
        return None
    names = Person.objects.filter(tenant_id=request.actor.tenant_id, pk__in=ids).values_list("name", flat=True)
    return {"value": ",".join(map(str, ids)), "names": ", ".join(names), "without": _with(request.GET, requester="")}


def _with(params: QueryDict, **changes: str) -> str:
    """The same address with some parameters changed, from the first page on; an empty value drops one."""
    new = params.copy()
    new.pop("after", None)
    for name, value in changes.items():
        new.pop(name, None)
        if value:
            new[name] = value
    return f"{reverse('queue')}?{new.urlencode()}"
