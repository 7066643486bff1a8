"""The queue: every kind of work in one list, filtered by its address, with one ticket open beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from itsm.access.commands import update_person
from itsm.access.decide import allows, visible_to
from itsm.kernel.errors import Forbidden, Invalid, NotFound
from itsm.reports.tickets import tickets_csv
from itsm.tenancy.models import Person
from itsm.tickets import queue
from itsm.tickets.models import StateCategory, Ticket
from itsm.web.choices import Choices
from itsm.web.pages import TenantRequest, patch_part, tenant_page, wants_part, works_the_queue
from itsm.web.panes import BACK, OPEN, PANES, list_url
from itsm.web.refusals import problem_text

#: Asks for the filter form, which stays open for as long as a filter is in force.
FILTERS = "filters"
_ROW = ("requester", "opened_by", "assignee", "team", "service", "category")


@dataclass(frozen=True, slots=True)
class View:
    """A named view in the side bar, with its count of open work."""

    name: str
    label: str
    url: str
    current: bool
    count: int | None

    @property
    def shown(self) -> str:
        return "" if self.count is None else _total(self.count)


@dataclass(frozen=True, slots=True)
class Column:
    """A head of the list: a link that sorts by it, and ``direction`` as aria-sort has it when it is the order now."""

    name: str
    label: str
    url: str
    direction: str


@tenant_page
@require_safe
def queue_page(request: TenantRequest) -> HttpResponse:
    """The list that the address describes, and the ticket that it opens. What cannot be used is named, nothing is guessed."""
    if not works_the_queue(request.actor):
        raise Forbidden("ticket.read", _("The queue is for people who work on tickets. Yours are under My requests."))
    response = _part(request) if wants_part(request) else _whole(request)
    patch_part(request, response)
    return response


@tenant_page
@require_POST
def layout(request: TenantRequest) -> HttpResponseBase:
    """Remember how this person likes the queue: list and ticket side by side, or the list alone."""
    person_id = request.actor.person_id
    if person_id is None:
        raise NotFound
    update_person(actor=request.actor, person_id=person_id, split_queue=request.POST.get("split") == "1")
    return redirect(list_url(request.POST.get(BACK, "")))


def _part(request: TenantRequest) -> HttpResponse:
    """The pane alone, with the row of its ticket, and after a change with the counts."""
    context = _opened(request)
    sent = request.headers.get("HX-Source", "").startswith("form")
    if sent:
        query, _given, _problems = _query(request)
        context["views"] = _views(request, query)
    response = render(request, "itsm/queue/part.html", context, status=context["pane_status"])
    if sent:
        # The ticket may be another one than before (a follow-up), or out of sight.
        response["HX-Replace-Url"] = request.get_full_path()
    return response


def _whole(request: TenantRequest) -> HttpResponse:
    query, given, problems = _query(request)
    page = queue.page(request.actor, query)
    views = _views(request, query)
    filtered = any(request.GET.get(name) for name in queue.PARAMETERS - {"view", "sort", "after", "limit"})
    named = next((view.count for view in views if view.current), None)
    context = _opened(request) | {
        "query": query,
        "page": page,
        "problems": problems,
        "views": views,
        "columns": _columns(request, query),
        # Whoever narrows the list needs it; for everybody else, what it offers would be the larger part of the page.
        "filters": _filters(request, query, given) if filtered or FILTERS in request.GET else None,
        "filters_url": _with(request, **{FILTERS: "1"}),
        "filtered": filtered,
        "total": _total(named if named is not None and not filtered else queue.count(request.actor, query)),
        "next_url": _with(request, after=page.next) if page.next else "",
        "first_url": _with(request, after="") if query.after else "",
        "given_view": query.view,
        "exports": allows(request.actor, "ticket.export"),
        "split": request.preferences.split_queue or OPEN in request.GET,
    }
    return render(request, "itsm/queue.html", context, status=400 if problems else context["pane_status"])


def _total(number: int) -> str:
    return f"{queue.COUNT_MAX}+" if number > queue.COUNT_MAX else str(number)


def _given(request: TenantRequest) -> dict[str, list[str]]:
    given = {name: values for name, values in request.GET.lists() if name in queue.PARAMETERS}
    given.setdefault("view", ["all" if any(given.get("q", [])) else "open"])
    return given


def _query(request: TenantRequest) -> tuple[queue.QueueQuery, dict[str, list[str]], list[tuple[str, str]]]:
    given = _given(request)
    try:
        return queue.parse(request.actor, given), given, []
    except Invalid as error:
        named = [(p.pointer.strip("/"), problem_text(p)) for p in error.problems]
        return queue.QueueQuery(view="open"), given, named


def _opened(request: TenantRequest) -> dict[str, Any]:
    """The open ticket as its kind shows it. One that does not exist or may not be seen is said to be unknown."""
    params = request.GET.copy()
    number = (params.pop(OPEN, None) or [""])[-1]
    here = params.urlencode()
    shown: dict[str, Any] = {
        "here": here,
        "list_url": list_url(here),
        "open_number": number[:40],
        "pane": SafeString(""),
        "pane_status": 200,
    }
    if not number:
        return shown
    tickets = visible_to(request.actor, Ticket.objects.select_related(*_ROW)).filter(kind__in=PANES)
    ticket = None if "\x00" in number or len(number) > 40 else tickets.filter(number=number.upper()).first()
    if ticket is None:
        return shown | {"pane_status": 404}
    return shown | {
        "ticket": ticket,
        "open_number": ticket.number,
        "pane": PANES[ticket.kind](request, ticket, here),
    }


@tenant_page
@require_safe
def queue_file(request: TenantRequest) -> FileResponse:
    """The list that the address describes, whole, as CSV."""
    given = _given(request) | {"after": [], "limit": []}
    found = tickets_csv(actor=request.actor, query=queue.parse(request.actor, given))
    return FileResponse(found, as_attachment=True, filename="tickets.csv", content_type="text/csv; charset=utf-8")


def _views(request: TenantRequest, query: queue.QueueQuery) -> list[View]:
    labels = {
        "mine": _("My open"),
        "unassigned": _("Unassigned"),
        "open": _("All open"),
        "urgent": _("P1 and P2"),
        "waiting": _("Waiting"),
        "major": _("Major incidents"),
        "due": _("Due next"),
        "breached": _("Breached"),
        "done": _("Resolved"),
        "all": _("Everything"),
    }
    counted = queue.counts(request.actor)
    return [
        View(name, label, f"{request.path}?view={name}", query.view == name, counted.get(name))
        for name, label in labels.items()
    ]


def _columns(request: TenantRequest, query: queue.QueueQuery) -> dict[str, Column]:
    """The sortable heads. A first click sorts as people mean it (urgent first, newest first), the next one turns it round."""
    usual = {"priority": "priority", "due": "due", "updated": "-updated"}
    labels = {"priority": _("Priority"), "due": _("Due"), "updated": _("Changed")}
    now, columns = query.sort.removeprefix("-"), {}
    for name, first in usual.items():
        turned = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        direction = ("descending" if query.sort.startswith("-") else "ascending") if now == name else ""
        url = _with(request, sort=turned if query.sort == first else first)
        columns[name] = Column(name, labels[name], url, direction)
    return columns


def _filters(request: TenantRequest, query: queue.QueueQuery, given: dict[str, list[str]]) -> dict[str, Any]:
    """What the filter form offers, with what is chosen now."""
    choices = Choices(request.actor)
    chosen = {name: {part for value in values for part in value.split(",")} for name, values in given.items()}
    chosen["sort"] = {query.sort}

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
                ("-priority", _("Least urgent first")),
                ("-updated", _("Changed last first")),
                ("updated", _("Unchanged longest first")),
                ("-opened", _("Newest first")),
                ("opened", _("Oldest first")),
                ("due", _("Due first")),
                ("-due", _("Due last first")),
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
    return {"value": ",".join(map(str, ids)), "names": ", ".join(names), "without": _with(request, requester="")}


def _with(request: TenantRequest, **changes: str) -> str:
    """The same list with some parameters changed, from the first page on and with no ticket open; an empty value drops one."""
    new = request.GET.copy()
    for name in ("after", OPEN):
        new.pop(name, None)
    for name, value in changes.items():
        new.pop(name, None)
        if value:
            new[name] = value
    return f"{request.path}?{new.urlencode()}"
