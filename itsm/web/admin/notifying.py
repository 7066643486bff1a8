"""Messages and webhooks: the organisation's own words, where webhooks go, and the mail that was sent."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from itsm.access.decide import kinds_within, ticket_filter
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.notify import wording
from itsm.notify.commands import endpoints, templates
from itsm.notify.models import Channel, Dispatch, Endpoint, MessageTemplate
from itsm.notify.topics import TOPICS
from itsm.web.admin.base import CommandAdmin, CommandModelForm, ReadOnlyAdmin, choice
from itsm.web.admin.sites import site


def _message_choices() -> list[tuple[str, str]]:
    named = {key: str(TOPICS[key].label) if key in TOPICS else key for key in wording.known_keys()}
    return [(key, str(gettext_lazy("All others")) if key == wording.COMMON else name) for key, name in named.items()]


class MessageTemplateForm(CommandModelForm):
    key = choice(gettext_lazy("Message"), _message_choices)
    language = choice(gettext_lazy("Language"), settings.LANGUAGES)


@admin.register(MessageTemplate, site=site)
class MessageTemplateAdmin(CommandAdmin):
    read: ClassVar = ("notification.manage",)
    manage = "notification.manage"
    form = MessageTemplateForm
    fields = ("key", "language", "subject", "text", "try_out")
    readonly_fields = ("try_out",)
    fixed = ("key", "language")
    list_display = ("key", "language", "subject", "updated_at")
    list_filter = ("language",)
    ordering = ("key", "language")
    actions = ("go_back",)

    @admin.display(description=gettext_lazy("Try it out"))
    def try_out(self, row: Any) -> str:
        address = reverse("message-preview")
        if row is not None and row.key:
            address += f"?key={row.key}&language={row.language}"
        return format_html('<a href="{}">{}</a>', address, _("See placeholders, and a preview with a real ticket"))

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        return templates.set_template(actor=actor, **{n: data[n] for n in ("key", "language", "subject", "text")})

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        words = {"subject": row.subject, "text": row.text} | data
        templates.set_template(actor=actor, key=row.key, language=row.language, **words)

    @admin.action(description=gettext_lazy("Go back to the product's words"), permissions=["change"])
    def go_back(self, request: Any, queryset: QuerySet[Any]) -> None:
        for row in queryset[:200]:
            templates.remove_template(actor=request.actor, template_id=row.pk)
        self.message_user(request, _("The product's words hold again."))


class EndpointForm(CommandModelForm):
    kinds = forms.CharField(
        label=gettext_lazy("Kinds of events"),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy(
            "One on a line: incident.opened, or incident. for all of incidents. Empty: all of tickets."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["kinds"] = "\n".join(self.instance.kinds or ())

    def clean_kinds(self) -> list[str]:
        return str(self.cleaned_data["kinds"]).replace(",", " ").split()


@admin.register(Endpoint, site=site)
class EndpointAdmin(CommandAdmin):
    read: ClassVar = ("notification.manage",)
    manage = "notification.manage"
    form = EndpointForm
    fields = ("name", "url", "kinds", "is_active", "failures", "disabled_at", "disabled_reason")
    readonly_fields = ("failures", "disabled_at", "disabled_reason")
    list_display = ("name", "url", "is_active", "failures", "disabled_at")
    list_filter = ("is_active",)
    search_fields = ("name", "url")
    ordering = ("name",)
    actions = ("rotate",)

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        data = form.cleaned_data
        if change:
            super().save_model(request, obj, form, change)
            return
        made, request.made_secret = endpoints.create_endpoint(
            actor=request.actor, name=data["name"], url=data["url"], kinds=data["kinds"]
        )
        obj.pk = made.pk
        if not data["is_active"]:
            endpoints.update_endpoint(actor=request.actor, endpoint_id=made.pk, active=False)

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        named = {("active" if name == "is_active" else name): value for name, value in data.items()}
        endpoints.update_endpoint(actor=actor, endpoint_id=row.pk, **named)

    def response_add(self, request: Any, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._shown_once(request, [(obj.name, request.made_secret)])

    @admin.action(description=gettext_lazy("Give a new secret (the old one works for a day)"), permissions=["change"])
    def rotate(self, request: Any, queryset: QuerySet[Any]) -> HttpResponse | None:
        made = []
        for row in queryset[:20]:
            try:
                _row, secret = endpoints.rotate_secret(actor=request.actor, endpoint_id=row.pk)
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                made.append((row.name, secret))
        return self._shown_once(request, made) if made else None

    def _shown_once(self, request: Any, made: list[tuple[str, str]]) -> HttpResponse:
        """Secrets are on the answer to this POST and nowhere else."""
        context = {**self.admin_site.each_context(request), "made": made, "title": _("Signing secret")}
        response = render(request, "itsm/admin/secret.html", context)
        add_never_cache_headers(response)
        return response


@admin.register(Dispatch, site=site)
class DispatchAdmin(ReadOnlyAdmin):
    """The ledger, to read. Words are shown to whoever may read their ticket, and notes to readers of notes."""

    read: ClassVar = ("notification.manage",)
    fields = (
        "channel", "status", "reason", "person", "address", "endpoint", "ticket", "created_at", "available_at",
        "attempts", "error", "finished_at", "provider_id", "shown_subject", "shown_text",
    )  # fmt: skip
    readonly_fields = fields
    list_display = ("created_at", "channel", "recipient", "shown_subject", "status", "reason", "finished_at")
    list_select_related = ("person", "endpoint", "ticket")
    list_filter = ("channel", "status", "reason")
    search_fields = ("=address", "=ticket__number", "=provider_id")
    ordering = ("-created_at", "-id")
    show_facets = admin.ShowFacets.NEVER

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        return _with_readable(request.actor, super().get_queryset(request))

    @admin.display(description=gettext_lazy("to"))
    def recipient(self, row: Any) -> str:
        return str(row.endpoint or row.person or "")

    @admin.display(description=gettext_lazy("subject"))
    def shown_subject(self, row: Any) -> str:
        return row.subject if row.readable else _("(not yours to read)") if row.subject else ""

    @admin.display(description=gettext_lazy("text"))
    def shown_text(self, row: Any) -> str:
        if not row.readable:
            return _("It tells of a ticket, or of a note, that you may not read.") if row.text else ""
        return format_html("<pre>{}</pre>", row.text)


def _with_readable(actor: Actor, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Each row with ``readable``: whether its words are open to this reader. A digest's are when all its parts' are."""
    seen = ticket_filter(actor, "ticket__")
    condition = Q(pk__isnull=False) if seen is None else Q(ticket__isnull=True) | seen
    if kinds_within(actor, "ticket.read_internal") is not None:
        condition &= Q(internal=False)
    parts = Dispatch.objects.filter(digest_id=OuterRef("pk"), channel=Channel.EMAIL)
    shown: QuerySet[Any] = rows.annotate(closed=Exists(parts.exclude(condition)))
    readable: QuerySet[Any] = shown.annotate(readable=condition & Q(closed=False))
    return readable
