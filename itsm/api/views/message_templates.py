"""The service desk's own words for messages. A message that has none here says what the product says."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from itsm.access.decide import authorize
from itsm.api.pagination import PAGE_PARAMETERS, paginate
from itsm.api.queries import plain_id
from itsm.api.schema import PAGE_QUERY, operation, page_of
from itsm.api.shapes import OneOf, Outgoing, Shape, Text
from itsm.api.views.base import ApiView
from itsm.kernel.errors import NotFound
from itsm.notify.commands.templates import TEXT_MAX, remove_template, set_template
from itsm.notify.letters import SUBJECT_MAX
from itsm.notify.models import MessageTemplate
from itsm.tickets.keyset import Sort

_TAG: Final = "message-templates"
_BY_KEY = Sort("key", "key", kind=str)
_COLUMNS = ("id", "key", "language", "subject", "text", "updated_at")


class WordsIn(Shape):
    """Words for one message in one language; those that were set before give way. An unknown ``key`` is told all keys."""

    key = Text(max_length=60)
    language = OneOf(choices=[code for code, _ in settings.LANGUAGES])
    subject = Text(max_length=SUBJECT_MAX, help_text="One line. Placeholders such as {ticket.number} are filled in.")
    text = Text(max_length=TEXT_MAX)


class MessageTemplateOut(Outgoing):
    """One's own words for one message in one language."""

    id = serializers.UUIDField()
    key = serializers.CharField()
    language = serializers.CharField()
    subject = serializers.CharField()
    text = serializers.CharField()
    updated_at = serializers.DateTimeField()


class _Templates(ApiView):
    def shown(self, pk: UUID) -> dict[str, Any]:
        found = MessageTemplate.objects.filter(tenant_id=self.actor.tenant_id, pk=pk).values(*_COLUMNS).first()
        if found is None:
            raise NotFound
        return dict(found)


class TemplatesView(_Templates):
    """Own words, by message; setting some."""

    query_parameters = PAGE_PARAMETERS

    @operation("GET", "message_templates_list", "List one's own words for messages", tag=_TAG,
               answer=page_of(MessageTemplateOut), parameters=PAGE_QUERY)  # fmt: skip
    def get(self, request: Request) -> Response:
        authorize(self.actor, "notification.manage")
        rows = MessageTemplate.objects.filter(tenant_id=self.actor.tenant_id)
        page = paginate(request, rows, self.given, _BY_KEY, lambda found: list(found.values(*_COLUMNS)))
        return page.response(page.rows)

    @operation("POST", "message_templates_set", "Set the words of a message in a language", tag=_TAG, body=WordsIn,
               answer=MessageTemplateOut)  # fmt: skip
    def post(self, request: Request) -> Response:
        words = set_template(actor=self.actor, **self.body(WordsIn))
        return Response(self.shown(words.pk))


class TemplateView(_Templates):
    """The words of one message in one language."""

    @operation(
        "GET", "message_templates_get", "Read one's own words for a message", tag=_TAG, answer=MessageTemplateOut
    )
    def get(self, request: Request, key: str) -> Response:
        authorize(self.actor, "notification.manage")
        return Response(self.shown(plain_id(key)))

    @operation("DELETE", "message_templates_delete", "Go back to the product's words", tag=_TAG, status=204)
    def delete(self, request: Request, key: str) -> Response:
        remove_template(actor=self.actor, template_id=plain_id(key))
        return Response(status=204)


#: Address → view.
TEMPLATES: dict[str, type[ApiView]] = {
    "message-templates": TemplatesView,
    "message-templates/<str:key>": TemplateView,
}
