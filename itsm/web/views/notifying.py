"""What people are told: one's own preferences, and the defaults of the organisation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from itsm.access.decide import authorize
from itsm.doors.problems import status_of
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.notify.commands.preferences import CHANNELS, update_preferences
from itsm.notify.models import Channel, Digest, Preference
from itsm.notify.topics import TOPICS
from itsm.notify.wishes import Wishes, of_rows, wishes_of_person
from itsm.web.forms import CommandForm
from itsm.web.pages import TenantRequest, refused, tenant_page


def _clock(label: Any, **kwargs: Any) -> forms.TimeField:
    widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    return forms.TimeField(label=label, widget=widget, input_formats=["%H:%M", "%H:%M:%S"], **kwargs)


class PreferencesForm(CommandForm):
    """Times and digest, and a switch for every topic and channel (``email-mention``)."""

    digest = forms.ChoiceField(label=gettext_lazy("Mails come"), choices=Digest.choices)
    digest_at = _clock(gettext_lazy("Time of the daily mail"))
    quiet_start = _clock(gettext_lazy("Quiet from"), required=False)
    quiet_end = _clock(gettext_lazy("Quiet until"), required=False)
    pages_in_quiet = forms.BooleanField(
        label=gettext_lazy("Pages come through in quiet hours"),
        required=False,
        help_text=gettext_lazy("A page is for whoever must act at once: on call, or responsible for a breach."),
    )

    def __init__(self, *args: Any, wishes: Wishes, **kwargs: Any) -> None:
        initial = {
            "digest": wishes.digest,
            "digest_at": wishes.digest_at,
            "quiet_start": wishes.quiet_start,
            "quiet_end": wishes.quiet_end,
            "pages_in_quiet": wishes.pages_in_quiet,
        }
        super().__init__(*args, initial=initial, **kwargs)
        ways = {Channel.INBOX.value: _("Inbox"), Channel.EMAIL.value: _("E-mail")}
        for topic in TOPICS.values():
            for channel in CHANNELS:
                self.fields[f"{channel}-{topic.key}"] = forms.BooleanField(
                    label=f"{topic.label}: {ways[channel]}", required=False, initial=wishes.wants(topic, channel)
                )

    def times(self) -> list[Any]:
        """The fields that are not switches."""
        return [self[name] for name in ("digest", "digest_at", "quiet_start", "quiet_end", "pages_in_quiet")]

    def switches(self) -> list[tuple[Any, list[Any]]]:
        """Each topic's label with its fields."""
        return [(topic.label, [self[f"{one}-{topic.key}"] for one in CHANNELS]) for topic in TOPICS.values()]

    def given(self) -> dict[str, Any]:
        """What the command gets: only the switches that were moved, so that the others go on following the defaults."""
        given = {name: self.cleaned_data[name] for name in self.changed_data if "-" not in name}
        topics: dict[str, dict[str, bool]] = {}
        for name in self.changed_data:
            channel, dash, topic = name.partition("-")
            if dash:
                topics.setdefault(topic, {})[channel] = self.cleaned_data[name]
        return given | ({"topics": topics} if topics else {})


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: TenantRequest) -> HttpResponseBase:
    """What I am told."""
    authorize(request.actor, "notification.update")
    return _page(request, tenant_wide=False)


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def defaults(request: TenantRequest) -> HttpResponseBase:
    """What everybody is told who has not decided."""
    authorize(request.actor, "notification.manage")
    return _page(request, tenant_wide=True)


def _page(request: TenantRequest, *, tenant_wide: bool) -> HttpResponseBase:
    form = PreferencesForm(request.POST or None, actor=request.actor, wishes=_wishes(request.actor, tenant_wide))
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                update_preferences(actor=request.actor, tenant_wide=tenant_wide, **form.given())
            except DomainError as error:
                form.refuse(error)
                refused(request, error)
                status = status_of(error)
            else:
                messages.success(request, _("Saved."))
                return redirect("notification-defaults" if tenant_wide else "notification-preferences")
    context = {"form": form, "tenant_wide": tenant_wide}
    return render(request, "itsm/notification_preferences.html", context, status=status)


def _wishes(actor: Actor, tenant_wide: bool) -> Wishes:
    if tenant_wide or actor.person_id is None:
        return of_rows(None, Preference.objects.filter(tenant_id=actor.tenant_id, person__isnull=True).first())
    return wishes_of_person(actor.person_id)
