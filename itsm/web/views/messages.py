"""Trying out the words of a message with a real ticket, before they are saved."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from itsm.access.decide import authorize
from itsm.doors.problems import status_of
from itsm.events.models import Event
from itsm.kernel.errors import DomainError
from itsm.notify import wording
from itsm.notify.commands.templates import TEXT_MAX, check_template
from itsm.notify.letters import SUBJECT_MAX, Letter, preview
from itsm.notify.models import MessageTemplate
from itsm.notify.placeholders import PLACEHOLDERS
from itsm.notify.topics import TOPICS
from itsm.tickets.fetch import read_ticket
from itsm.web.forms import CommandForm, NumberField
from itsm.web.pages import TenantRequest, refused, tenant_page


def _keys() -> list[tuple[str, str]]:
    return [(key, str(TOPICS[key].label) if key in TOPICS else key) for key in wording.known_keys()]


class PreviewForm(CommandForm):
    """Words, and the ticket to try them with."""

    key = forms.ChoiceField(label=gettext_lazy("Message"), choices=_keys)
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)
    subject = forms.CharField(label=gettext_lazy("Subject"), max_length=SUBJECT_MAX)
    text = forms.CharField(label=gettext_lazy("Text"), max_length=TEXT_MAX, widget=forms.Textarea(attrs={"rows": 10}))
    ticket = NumberField(
        label=gettext_lazy("Ticket"), help_text=gettext_lazy("The number of a ticket that you can see.")
    )


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def message_preview(request: TenantRequest) -> HttpResponse:
    """The words that hold now, to begin with; sent back with a ticket, what a reader would get."""
    authorize(request.actor, "notification.manage")
    letter: Letter | None = None
    status = 200
    if request.method == "POST":
        form = PreviewForm(request.POST, actor=request.actor)
        status = 400
        if form.is_valid():
            try:
                letter = _letter(request, form.cleaned_data)
                status = 200
            except DomainError as error:
                form.refuse(error)
                refused(request, error)
                status = status_of(error)
    else:
        form = PreviewForm(actor=request.actor, initial=_now(request))
    names = [(f"{{{name}}}", meaning) for name, meaning in PLACEHOLDERS.items()]
    context = {"form": form, "letter": letter, "placeholders": names}
    return render(request, "itsm/message_preview.html", context, status=status)


def _now(request: TenantRequest) -> dict[str, Any]:
    key, language = request.GET.get("key", ""), request.GET.get("language", "")
    key = key if key in wording.known_keys() else wording.COMMON
    language = language if language in dict(settings.LANGUAGES) else "en"
    own = MessageTemplate.objects.filter(tenant_id=request.actor.tenant_id, key=key, language=language).first()
    words = wording.Words(own.subject, own.text) if own else wording.default(key, language)
    return {"key": key, "language": language, "subject": words.subject, "text": words.text}


def _letter(request: TenantRequest, data: dict[str, Any]) -> Letter:
    words = check_template(key=data["key"], language=data["language"], subject=data["subject"], text=data["text"])
    ticket = read_ticket(request.actor, data["ticket"])
    events = Event.objects.filter(tenant_id=request.actor.tenant_id, ticket_id=ticket.pk).order_by("-sequence")
    topic = TOPICS.get(data["key"])
    fitting = events.filter(kind__in=topic.kinds).first() if topic is not None else None
    return preview(words, request.actor, request.tenant, ticket, fitting or events[0], topic, data["language"])
