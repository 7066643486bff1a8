"""Files on tickets. They are served inert: as a download, never as a page of ours."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api import queries
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.parsers import JSONParser, UploadParser
from itsm.api.schema import PAGE_QUERY, page_of
from itsm.api.shapes import Named, OneOf, Outgoing, Shape
from itsm.api.views.on_tickets import TicketView
from itsm.doors.downloads import download_of
from itsm.kernel.errors import FieldProblem, Invalid, NotFound
from itsm.tickets.commands import attach_file, detach_file
from itsm.tickets.files import readable_files
from itsm.tickets.keyset import Sort
from itsm.tickets.models import Attachment, Audience


class NewFile(Shape):
    """A file, as multipart/form-data. Its type is read from its content; what it claims to be is not believed."""

    file = serializers.FileField()
    audience = OneOf(choices=Audience.values, required=False, default=Audience.PUBLIC.value)


class AttachmentOut(Outgoing):
    """A file on the ticket."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    content_type = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    audience = serializers.ChoiceField(choices=Audience.values)
    uploaded_by = Named(allow_null=True)
    created_at = serializers.DateTimeField()


_COLUMNS = (
    "id",
    "name",
    "content_type",
    "size",
    "sha256",
    "audience",
    "uploaded_by_id",
    "uploaded_by__name",
    "created_at",
)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    by, name = row.pop("uploaded_by_id"), row.pop("uploaded_by__name")
    return {**row, "uploaded_by": {"id": by, "name": name} if by else None}


class _FilesView(TicketView):
    def find(self, key: str, file: str) -> QuerySet[Any]:
        """The file that the address names, as a queryset of one. Raises NotFound."""
        authorize(self.actor, "ticket.read")
        found = readable_files(self.actor, queries.find_ticket(self.actor, key, self.kind)).filter(
            pk=queries.plain_id(file)
        )
        if not found.exists():
            raise NotFound
        return found


class AttachmentsView(_FilesView):
    """Files of the ticket, oldest first; adding one."""

    parser_classes = (UploadParser, JSONParser)
    query_parameters = PAGE_PARAMETERS
    operations: ClassVar = {
        "GET": {
            "name": "attachments_list",
            "summary": "List files",
            "answer": page_of(AttachmentOut),
            "parameters": PAGE_QUERY,
        },
        "POST": {
            "name": "attachments_create",
            "summary": "Attach a file",
            "body": {"multipart/form-data": NewFile},
            "answer": AttachmentOut,
            "status": 201,
        },
    }

    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "ticket.read")
        files = readable_files(self.actor, queries.find_ticket(self.actor, key, self.kind))
        page = paginate(
            request, files, self.given, Sort("created_at", "created_at"), lambda found: list(found.values(*_COLUMNS))
        )
        return page.response([_shown(row) for row in page.rows])

    def post(self, request: Request, key: str) -> Response:
        given = self.body(NewFile)
        file: UploadedFile[Any] = given["file"]
        if len(request.FILES.getlist("file")) > 1:
            raise Invalid([FieldProblem("/file", "too_many", "Send one file a request.")], "Send one file a request.")
        made = attach_file(
            actor=self.actor,
            ticket_id=queries.find_id(self.actor, key, self.kind),
            name=file.name or "",
            content=file.open(),
            size=file.size or 0,
            audience=given["audience"],
        )
        return Response(_shown(Attachment.objects.filter(pk=made.pk).values(*_COLUMNS).get()), status=201)


class AttachmentView(_FilesView):
    """One file of the ticket."""

    operations: ClassVar = {
        "GET": {"name": "attachments_get", "summary": "Read what is known of a file", "answer": AttachmentOut},
        "DELETE": {
            "name": "attachments_delete",
            "summary": "Remove a file's content; the timeline keeps that it was there",
            "status": 204,
        },
    }

    def get(self, request: Request, key: str, file: str) -> Response:
        return Response(_shown(self.find(key, file).values(*_COLUMNS).get()))

    def delete(self, request: Request, key: str, file: str) -> Response:
        found = self.find(key, file).get()
        detach_file(actor=self.actor, ticket_id=found.ticket_id, attachment_id=found.pk)
        return Response(status=204)


class ContentView(_FilesView):
    """A file's content."""

    operations: ClassVar = {
        "GET": {
            "name": "attachments_download",
            "summary": "Download a file",
            "answer": OpenApiResponse(OpenApiTypes.BINARY, "The bytes, always as a download."),
            "media": "application/octet-stream",
        }
    }

    def get(self, request: Request, key: str, file: str) -> HttpResponseBase:
        return download_of(self.find(key, file).get())
