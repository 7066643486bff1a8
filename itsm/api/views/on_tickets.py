"""What hangs on every kind of ticket: comments, watchers, links and the timeline."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import allows, authorize
from itsm.api import queries
from itsm.api.concurrency import expected_version
from itsm.api.filters import whole
from itsm.api.pagination import LIMIT_DEFAULT, LIMIT_MAX, PAGE_PARAMETERS, Page, paginate, with_query
from itsm.api.schema import PAGE_QUERY, operation, page_of, query
from itsm.api.shapes import Named, OneOf, Outgoing, Reference, Shape, Text
from itsm.api.views.base import ApiView
from itsm.tickets.commands import comment_on_ticket, link_tickets, unlink_tickets, unwatch_ticket, watch_ticket
from itsm.tickets.commands.attachments import ATTACHMENTS_MAX
from itsm.tickets.keyset import Sort
from itsm.tickets.links import links_of
from itsm.tickets.models import Audience, Comment, LinkKind, Watcher
from itsm.tickets.timeline import Entry, timeline


class TicketView(ApiView):
    """Base of views below a ticket's address. ``kind`` is set per practice by described()."""

    kind: str = ""
    #: Method → keywords of operation(); the id of the operation is completed per practice.
    operations: ClassVar[dict[str, dict[str, Any]]] = {}


def described(view: type[TicketView], plural: str, kind: str) -> type[TicketView]:
    """The view for one practice: ``described(CommentsView, "incidents", "incident")``."""
    schemas = {}
    for method, about in view.operations.items():
        rest = {key: value for key, value in about.items() if key != "name"}
        schemas[method.lower()] = operation(method, f"{plural}_{about['name']}", tag=plural, **rest)
    made = type(f"{plural.title()}{view.__name__}", (view,), {"kind": kind, "__doc__": view.__doc__})
    return extend_schema_view(**schemas)(made)


# --- Comments --------------------------------------------------------------------------------------------------------


class NewComment(Shape):
    """A reply, which the requester reads, or an internal note. Its attachments are files that the caller has sent before."""

    body = Text()
    audience = OneOf(choices=Audience.values, required=False, default=Audience.PUBLIC.value)
    attachments = serializers.ListField(child=Reference(), required=False, max_length=ATTACHMENTS_MAX)


class CommentOut(Outgoing):
    """What somebody wrote. ``body`` is null when it was erased."""

    id = serializers.UUIDField()
    author = Named(allow_null=True)
    audience = serializers.ChoiceField(choices=Audience.values)
    body = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


_COMMENT = ("id", "author_id", "author__name", "audience", "body", "created_at", "erased_at")


def _comment(row: dict[str, Any]) -> dict[str, Any]:
    author = {"id": row["author_id"], "name": row["author__name"]} if row["author_id"] else None
    body = None if row["erased_at"] else row["body"]
    return {
        "id": row["id"],
        "author": author,
        "audience": row["audience"],
        "body": body,
        "created_at": row["created_at"],
    }


class CommentsView(TicketView):
    """Replies and, for those who may read them, internal notes; oldest first."""

    query_parameters = PAGE_PARAMETERS
    operations: ClassVar = {
        "GET": {
            "name": "comments_list",
            "summary": "List comments",
            "answer": page_of(CommentOut),
            "parameters": PAGE_QUERY,
        },
        "POST": {
            "name": "comments_create",
            "summary": "Write a reply or an internal note",
            "body": NewComment,
            "answer": CommentOut,
            "status": 201,
        },
    }

    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "ticket.read")
        ticket = queries.find_ticket(self.actor, key, self.kind)
        comments = Comment.objects.filter(tenant_id=self.actor.tenant_id, ticket_id=ticket.pk)
        if not allows(self.actor, "ticket.read_internal", ticket):
            comments = comments.filter(audience=Audience.PUBLIC)
        page = paginate(
            request, comments, self.given, Sort("created_at", "created_at"), lambda found: list(found.values(*_COMMENT))
        )
        return page.response([_comment(row) for row in page.rows])

    def post(self, request: Request, key: str) -> Response:
        given = self.body(NewComment)
        given["attachment_ids"] = given.pop("attachments", [])
        comment = comment_on_ticket(
            actor=self.actor,
            ticket_id=queries.find_id(self.actor, key, self.kind),
            expected_version=expected_version(request, required=False),
            **given,
        )
        row = Comment.objects.filter(pk=comment.pk).values(*_COMMENT).get()
        return Response(_comment(row), status=201)


# --- Watchers --------------------------------------------------------------------------------------------------------


class Watch(Shape):
    """The person who shall watch (or stop watching); without it the caller."""

    person = Reference(required=False)


class WatcherOut(Outgoing):
    """Somebody who follows the ticket."""

    person = Named()
    created_at = serializers.DateTimeField()


class WatchersView(TicketView):
    """Who follows the ticket. Those who may not manage watchers see only whether they do themselves."""

    query_parameters = PAGE_PARAMETERS
    operations: ClassVar = {
        "GET": {
            "name": "watchers_list",
            "summary": "List watchers",
            "answer": page_of(WatcherOut),
            "parameters": PAGE_QUERY,
        }
    }

    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "ticket.read")
        ticket = queries.find_ticket(self.actor, key, self.kind)
        watchers = Watcher.objects.filter(tenant_id=self.actor.tenant_id, ticket_id=ticket.pk)
        if not allows(self.actor, "ticket.manage_watchers", ticket):
            watchers = watchers.filter(person_id=self.actor.person_id)
        page = paginate(
            request,
            watchers,
            self.given,
            Sort("created_at", "created_at"),
            lambda found: list(found.values("id", "person_id", "person__name", "created_at")),
        )
        return page.response(
            [
                {"person": {"id": row["person_id"], "name": row["person__name"]}, "created_at": row["created_at"]}
                for row in page.rows
            ]
        )


class WatchView(TicketView):
    """Follow the ticket."""

    operations: ClassVar = {"POST": {"name": "watch", "summary": "Watch", "body": Watch, "status": 204}}

    def post(self, request: Request, key: str) -> Response:
        given = self.body(Watch)
        watch_ticket(
            actor=self.actor, ticket_id=queries.find_id(self.actor, key, self.kind), person_id=given.get("person")
        )
        return Response(status=204)


class UnwatchView(TicketView):
    """Stop following the ticket."""

    operations: ClassVar = {"POST": {"name": "unwatch", "summary": "Stop watching", "body": Watch, "status": 204}}

    def post(self, request: Request, key: str) -> Response:
        given = self.body(Watch)
        unwatch_ticket(
            actor=self.actor, ticket_id=queries.find_id(self.actor, key, self.kind), person_id=given.get("person")
        )
        return Response(status=204)


# --- Links -----------------------------------------------------------------------------------------------------------


class NewLink(Shape):
    """The other ticket (id or number) and what it is to this one."""

    target = Text(max_length=40)
    kind = OneOf(choices=LinkKind.values, required=False, default=LinkKind.RELATES.value)


class LinkedOut(Outgoing):
    """A ticket at the other end of a link."""

    id = serializers.UUIDField()
    number = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField()


class LinkOut(Outgoing):
    """A link. ``outward`` links start here: this ticket duplicates, follows … the other one."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=LinkKind.values)
    direction = serializers.ChoiceField(choices=["outward", "inward"])
    ticket = LinkedOut()


class LinksView(TicketView):
    """Links to other tickets, both ways, as far as the caller sees the other end. At most a few dozen: one page."""

    operations: ClassVar = {
        "GET": {"name": "links_list", "summary": "List links", "answer": page_of(LinkOut)},
        "POST": {
            "name": "links_create",
            "summary": "Link to another ticket",
            "body": NewLink,
            "answer": LinkOut,
            "status": 201,
        },
    }

    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "ticket.read")
        ticket = queries.find_ticket(self.actor, key, self.kind)
        links = links_of(self.actor, [ticket.pk]).get(ticket.pk, [])
        return Page(links, None, None).response(links)

    def post(self, request: Request, key: str) -> Response:
        given = self.body(NewLink)
        mine = queries.find_id(self.actor, key, self.kind)
        target = queries.ticket_id(self.actor, "target", given["target"])
        link = link_tickets(actor=self.actor, ticket_id=mine, target_id=target, kind=given["kind"])
        shown = next(one for one in links_of(self.actor, [mine])[mine] if one["id"] == link.pk)
        return Response(shown, status=201)


class LinkView(TicketView):
    """One link of the ticket."""

    operations: ClassVar = {"DELETE": {"name": "links_delete", "summary": "Remove a link", "status": 204}}

    def delete(self, request: Request, key: str, link: str) -> Response:
        mine = queries.find_id(self.actor, key, self.kind)
        unlink_tickets(actor=self.actor, ticket_id=mine, link_id=queries.plain_id(link))
        return Response(status=204)


# --- Timeline --------------------------------------------------------------------------------------------------------


class ActorOut(Outgoing):
    """Who did it; ``id`` is null for the product itself."""

    kind = serializers.ChoiceField(choices=["person", "token", "system"])
    id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()


class FieldChangeOut(Outgoing):
    """A field that changed, in words; an empty text is nothing."""

    field = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    old = serializers.CharField(allow_blank=True)
    new = serializers.CharField(allow_blank=True)


class FileOut(Outgoing):
    """A file that the entry is about."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    size = serializers.IntegerField()
    removed = serializers.BooleanField()


class EntryOut(Outgoing):
    """One entry: ``actor`` + ``text`` make a sentence in the reader's language; ``body`` is what somebody wrote (Markdown)."""

    id = serializers.UUIDField()
    sequence = serializers.IntegerField()
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    actor = ActorOut()
    audience = serializers.ChoiceField(choices=Audience.values)
    text = serializers.CharField()
    because = serializers.CharField()
    changes = FieldChangeOut(many=True)
    body = serializers.CharField()
    removed = serializers.BooleanField()
    files = FileOut(many=True)


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "sequence": entry.sequence,
        "kind": entry.kind,
        "at": entry.occurred_at,
        "actor": {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.who},
        "audience": entry.audience,
        "text": entry.text,
        "because": entry.because,
        "changes": [{"field": c.field, "label": c.label, "old": c.old, "new": c.new} for c in entry.changes],
        "body": entry.body,
        "removed": entry.removed,
        "files": [{"id": f.id, "name": f.name, "size": f.size, "removed": f.removed} for f in entry.files],
    }


class TimelineView(TicketView):
    """What happened to the ticket, oldest first, as far as the caller may read it."""

    query_parameters = ("after", "limit")
    operations: ClassVar = {
        "GET": {
            "name": "timeline",
            "summary": "Read the timeline",
            "answer": page_of(EntryOut),
            "parameters": (
                query("after", "Only entries with a higher sequence.", kind={"type": "integer", "minimum": 0}),
                PAGE_QUERY[1],
            ),
        }
    }

    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "ticket.read")
        ticket = queries.find_ticket(self.actor, key, self.kind)
        after = whole("after", self.given.get("after", "0"), 0, 2**31 - 1)
        limit = whole("limit", self.given.get("limit", str(LIMIT_DEFAULT)), 1, LIMIT_MAX)
        entries = timeline(self.actor, ticket, after=after, limit=limit + 1)
        shown = entries[:limit]
        more = with_query(request, after=str(shown[-1].sequence)) if len(entries) > limit else None
        return Page(shown, more, None).response([_entry(entry) for entry in shown])
