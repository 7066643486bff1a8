"""The event log, to read: who changed what, and what was refused."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from itsm.access.decide import event_filter
from itsm.events.kinds import KINDS
from itsm.events.models import Event
from itsm.tenancy.models import Person
from itsm.web.admin.base import ReadOnlyAdmin
from itsm.web.admin.sites import site


class KindFilter(admin.SimpleListFilter):
    """By kind, from the catalogue: asking the table for its kinds would read all of it."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(KINDS)]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Event, site=site)
class EventAdmin(ReadOnlyAdmin):
    read: ClassVar = ("audit.read",)
    fields = (
        "kind",
        "version",
        "occurred_at",
        "recorded_at",
        "ticket",
        "sequence",
        "actor_kind",
        "who",
        "actor_label",
        "request_id",
        "cause_id",
        "depth",
        "content",
        "seal",
    )
    readonly_fields = fields
    list_display = ("occurred_at", "kind", "ticket", "who", "actor_kind", "request_id")
    list_select_related = ("ticket",)
    list_filter = (KindFilter, "occurred_at")
    search_fields = ("=ticket__number", "=request_id")
    ordering = ("-id",)
    show_facets = admin.ShowFacets.NEVER

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        events = super().get_queryset(request)
        events = events.filter(event_filter(request.actor))
        names = Person.objects.filter(tenant_id=request.actor.tenant_id, pk=OuterRef("actor_id")).values("name")
        named: QuerySet[Any] = events.annotate(actor_name=Subquery(names[:1]))
        return named

    @admin.display(description=_("who"))
    def who(self, event: Any) -> str:
        return str(event.actor_name or event.actor_label)

    @admin.display(description=_("content"))
    def content(self, event: Event) -> str:
        return format_html("<pre>{}</pre>", json.dumps(event.payload, indent=2, sort_keys=True, ensure_ascii=False))

    @admin.display(description=_("digest"))
    def seal(self, event: Event) -> str:
        return bytes(event.digest).hex()
