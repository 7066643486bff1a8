"""Incidents over REST. Views read the request and call a command; they hold no rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from incidents import commands
from incidents.api import shapes
from incidents.api.represent import EXPAND, FIELDS, represent, rows_of, show
from incidents.flow import FLOW, KIND
from itsm.access.decide import authorize
from itsm.api import queries
from itsm.api.concurrency import expected_version, tagged
from itsm.api.filters import bad_parameter, many
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.shapes import Nothing, Shape
from itsm.api.views.base import ApiView
from itsm.kernel.errors import NotFound
from itsm.tickets.commands import assign_ticket, set_parent, update_ticket
from itsm.tickets.fetch import read_ticket
from itsm.tickets.keyset import Sort
from itsm.tickets.models import StateCategory, Ticket

TAG = "incidents"
SORTS = {
    sort.name: sort
    for sort in (
        Sort("-opened_at", "opened_at", down=True, id_down=True),
        Sort("opened_at", "opened_at"),
        Sort("-updated_at", "updated_at", down=True, id_down=True),
        Sort("updated_at", "updated_at"),
        Sort("priority", "priority", id_down=True, kind=int),
        Sort("-priority", "priority", down=True, id_down=True, kind=int),
        Sort("due_at", "due_at", nullable=True),
        Sort("-due_at", "due_at", down=True, id_down=True, nullable=True),
        Sort("number", "number", kind=str),
        Sort("-number", "number", down=True, id_down=True, kind=str),
    )
}
_SHOW = (
    query("fields", f"Only these members, separated by commas: {', '.join(FIELDS)}."),
    query("expand", f"Whole objects instead of id and name: {', '.join(EXPAND)}."),
)
_LIST = (
    query("q", "Words to search for; the newest 500 hits that you may see."),
    query("state", f"{', '.join(s.key for s in FLOW.states.values())}, or their codes."),
    query("state_category", f"{', '.join(StateCategory.values)}."),
    query("priority", "1 to 5."),
    query("team", "Ids, `none`, or `me` for the teams that you are a member of."),
    query("assignee", "Ids, `me` or `none`."),
    query("requester", "Ids, `me` or `none`."),
    query("service", "Ids or `none`."),
    query("category", "Ids or `none`."),
    query("parent", "Ids or `none`."),
    query("major", "`true`: those that are or were led as major incidents; `false`: the others."),
    query("updated_since", "RFC 3339."),
    query("opened_since", "RFC 3339."),
    query("sort", "", kind={"type": "string", "enum": list(SORTS), "default": "-opened_at"}),
)


def _chosen(given: Mapping[str, str], view: ApiView) -> dict[str, Any]:
    """``fields`` and ``expand``, checked against their lists and the actor's rights."""
    fields: Any = FIELDS
    expand: list[str] = []
    if "fields" in given:
        fields = many("fields", given["fields"], _member(FIELDS), limit=len(FIELDS))
    if "expand" in given:
        expand = many("expand", given["expand"], _member(tuple(EXPAND)))
        for name in expand:
            authorize(view.actor, EXPAND[name])
    return {"fields": fields, "expand": expand}


def _member(known: tuple[str, ...]) -> Callable[[str, str], str]:
    def check(name: str, value: str) -> str:
        if value not in known:
            raise bad_parameter(name, "unknown_value", f"{name} takes {', '.join(known)}.")
        return value

    return check


class IncidentsView(ApiView):
    """All incidents that the caller sees; logging a new one."""

    query_parameters = (*queries.NAMES, *PAGE_PARAMETERS, "sort", "fields", "expand")

    @operation(
        "GET",
        "incidents_list",
        "List incidents",
        tag=TAG,
        answer=page_of(shapes.IncidentOut),
        parameters=(*_LIST, *PAGE_QUERY, *_SHOW),
    )
    def get(self, request: Request) -> Response:
        authorize(self.actor, "ticket.read")
        chosen = _chosen(self.given, self)
        name = self.given.get("sort", "-opened_at")
        if name not in SORTS:
            raise bad_parameter("sort", "unknown_value", f"sort must be one of {', '.join(SORTS)}.")
        tickets = queries.tickets(self.actor, self.given, KIND)
        page = paginate(request, tickets, self.given, SORTS[name], rows_of)
        return page.response(represent(self.actor, page.rows, **chosen))

    @operation(
        "POST",
        "incidents_create",
        "Log an incident",
        tag=TAG,
        body=shapes.NewIncident,
        answer=shapes.IncidentOut,
        status=201,
        tagged=True,
    )
    def post(self, request: Request) -> Response:
        given = self.body(shapes.NewIncident)
        ticket = commands.open_incident(
            actor=self.actor,
            title=given["title"],
            description=given.get("description", ""),
            impact=given["impact"],
            urgency=given["urgency"],
            channel=given["channel"],
            **{f"{name}_id": given.get(name) for name in ("service", "category", "team", "assignee", "requester")},
        )
        return created(self, request, ticket)


def created(view: ApiView, request: Request, ticket: Ticket) -> Response:
    """201 with the new incident, its address and its ETag."""
    try:
        shown = show(view.actor, ticket.pk)
    except NotFound:
        # A token that may write and not read still learns what it made.
        shown = {"id": ticket.pk, "number": ticket.number, "version": ticket.version}
    response = tagged(Response(shown, status=201), ticket.version)
    root = request.path.partition("/incidents")[0]
    response["Location"] = f"{root}/incidents/{ticket.pk}/"
    return response


class IncidentView(ApiView):
    """One incident."""

    query_parameters = ("fields", "expand")

    @operation(
        "GET", "incidents_get", "Read an incident", tag=TAG, answer=shapes.IncidentOut, parameters=_SHOW, tagged=True
    )
    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "ticket.read")
        chosen = _chosen(self.given, self)
        fields = {*chosen["fields"], "version"}
        shown = show(self.actor, queries.find_id(self.actor, key, KIND), fields=fields, expand=chosen["expand"])
        version = shown["version"] if "version" in chosen["fields"] else shown.pop("version")
        return tagged(Response(shown), version)

    @operation(
        "PATCH",
        "incidents_update",
        "Change fields",
        tag=TAG,
        body=shapes.IncidentChanges,
        answer=shapes.IncidentOut,
        guarded=True,
        tagged=True,
    )
    def patch(self, request: Request, key: str) -> Response:
        given = self.body(shapes.IncidentChanges)
        changes = {
            f"{name}_id" if name in {"service", "category", "requester"} else name: v for name, v in given.items()
        }
        ticket = update_ticket(
            actor=self.actor,
            ticket_id=queries.find_id(self.actor, key, KIND),
            expected_version=expected_version(request),
            **changes,
        )
        return changed(self, ticket)


def changed(view: ApiView, ticket: Ticket) -> Response:
    """The incident after the change, with its new ETag."""
    shown = show(view.actor, ticket.pk)
    return tagged(Response(shown), shown["version"])


class VerbView(ApiView):
    """One verb of one incident. The subclasses below name the shape and the command."""

    shape: ClassVar[type[Shape]] = Nothing

    def act(self, ticket_id: UUID, version: int | None, given: dict[str, Any]) -> Ticket:
        raise NotImplementedError

    def post(self, request: Request, key: str) -> Response:
        given = self.body(self.shape)
        return changed(self, self.act(queries.find_id(self.actor, key, KIND), expected_version(request), given))


def verb(name: str, summary: str, shape: type[Shape], act: Callable[..., Ticket]) -> type[VerbView]:
    """The view of ``POST /incidents/{id}/<name>/``; ``act`` calls the command with what the body holds."""

    class View(VerbView):
        __doc__ = summary

        @operation(
            "POST",
            f"incidents_{name.replace('-', '_')}",
            summary,
            tag=TAG,
            body=shape,
            answer=shapes.IncidentOut,
            guarded=True,
            tagged=True,
        )
        def post(self, request: Request, key: str) -> Response:
            return super().post(request, key)

        def act(self, ticket_id: UUID, version: int | None, given: dict[str, Any]) -> Ticket:
            return act(self, given, actor=self.actor, ticket_id=ticket_id, expected_version=version)

    View.shape = shape
    View.__name__ = View.__qualname__ = f"{name.replace('-', ' ').title().replace(' ', '')}View"
    return View


def _assign(view: ApiView, given: dict[str, Any], **common: Any) -> Ticket:
    return assign_ticket(**common, **{f"{name}_id": value for name, value in given.items()})


def _parent(view: ApiView, given: dict[str, Any], **common: Any) -> Ticket:
    read_ticket(view.actor, common["ticket_id"], KIND)
    parent = given["parent"]
    return set_parent(**common, parent_id=queries.ticket_id(view.actor, "parent", parent) if parent else None)


def _merge(view: ApiView, given: dict[str, Any], **common: Any) -> Ticket:
    # What the address names comes before what the body names: a stranger learns nothing about either.
    read_ticket(view.actor, common["ticket_id"], KIND)
    into = queries.ticket_id(view.actor, "into", given["into"])
    return commands.merge_incident(**common, into_id=into)


#: Address → view. Each is one command.
VERBS: dict[str, type[VerbView]] = {
    name: verb(name, summary, shape, act)
    for name, summary, shape, act in (
        ("take", "Make it mine", Nothing, lambda v, g, **c: commands.take_incident(**c)),
        ("assign", "Assign to a team, a person or both", shapes.Assignment, _assign),
        ("start", "New → In Progress", Nothing, lambda v, g, **c: commands.start_incident(**c)),
        (
            "hold",
            "Put on hold",
            shapes.Hold,
            lambda v, g, **c: commands.hold_incident(**c, hold_reason=g["hold_reason"], comment=g.get("comment", "")),
        ),
        ("resume", "On Hold → In Progress", Nothing, lambda v, g, **c: commands.resume_incident(**c)),
        ("resolve", "Resolve", shapes.Resolution, lambda v, g, **c: commands.resolve_incident(**c, **g)),
        ("reopen", "Resolved → In Progress", shapes.Reason, lambda v, g, **c: commands.reopen_incident(**c, **g)),
        ("close", "Resolved → Closed", Nothing, lambda v, g, **c: commands.close_incident(**c)),
        ("cancel", "Cancel", shapes.Reason, lambda v, g, **c: commands.cancel_incident(**c, **g)),
        ("merge", "Close as a duplicate of another incident", shapes.Merge, _merge),
        ("parent", "Make it the child of another incident", shapes.Parent, _parent),
    )
}


class FollowUpView(ApiView):
    """A closed incident never reopens: what comes back is a new one, linked to it."""

    @operation(
        "POST",
        "incidents_follow_up",
        "Open a new incident that continues a closed one",
        tag=TAG,
        body=shapes.FollowUp,
        answer=shapes.IncidentOut,
        status=201,
        tagged=True,
    )
    def post(self, request: Request, key: str) -> Response:
        given = self.body(shapes.FollowUp)
        ticket = commands.open_follow_up(actor=self.actor, ticket_id=queries.find_id(self.actor, key, KIND), **given)
        return created(self, request, ticket)
