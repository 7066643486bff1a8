"""What people decide about themselves: language, time zone, tokens."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from itsm.access.catalogue import SCOPES
from itsm.access.commands import create_token, revoke_token, update_person
from itsm.access.decide import authorize
from itsm.access.models import ApiToken
from itsm.doors.problems import status_of
from itsm.kernel.errors import DomainError
from itsm.tenancy.models import Person
from itsm.web.choices import zones
from itsm.web.forms import CommandForm
from itsm.web.pages import TenantRequest, refused, tenant_page


def _zones() -> list[tuple[str, str]]:
    return [("", _("As the desk")), *zones()]


def _languages() -> list[tuple[str, str]]:
    return [("", _("As the browser asks")), *settings.LANGUAGES]


class ProfileForm(CommandForm):
    """What a person likes: language, zone, keys, the look of the queue."""

    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=_languages, required=False)
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"), choices=_zones, required=False)
    shortcuts = forms.BooleanField(
        label=gettext_lazy("Single keys do something (J, K, O, ?)"),
        required=False,
        help_text=gettext_lazy("Turn this off if you speak to your computer, or if keys are pressed by accident."),
    )
    split_queue = forms.BooleanField(label=gettext_lazy("The queue shows list and ticket side by side"), required=False)


class TokenForm(CommandForm):
    """A new token."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("What it is for, so that you know it later.")
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Rights"),
        choices=[(scope, scope) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Never more than you may do yourself."),
    )
    expires_at = forms.DateField(
        label=gettext_lazy("Valid until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
        help_text=gettext_lazy("Empty: until it is revoked."),
    )


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: TenantRequest) -> HttpResponseBase:
    """One's own preferences in this tenant."""
    person = get_object_or_404(Person, pk=request.actor.person_id)
    if request.method != "POST":
        initial = {
            "language": person.language,
            "time_zone": person.time_zone,
            "shortcuts": person.shortcuts,
            "split_queue": person.split_queue,
        }
        form = ProfileForm(actor=request.actor, initial=initial)
        return render(request, "itsm/profile.html", {"form": form, "person": person})
    form = ProfileForm(request.POST, actor=request.actor)
    status = 400
    if form.is_valid():
        try:
            update_person(actor=request.actor, person_id=person.pk, **form.cleaned_data)
        except DomainError as error:
            form.refuse(error)
            refused(request, error)
            status = status_of(error)
        else:
            messages.success(request, _("Saved."))
            return redirect("profile")
    return render(request, "itsm/profile.html", {"form": form, "person": person}, status=status)


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: TenantRequest) -> HttpResponse:
    """One's own tokens, and making a new one: its secret is on the answer to this one POST and nowhere else."""
    authorize(request.actor, "token.create")
    secret, status = "", 200
    form = TokenForm(request.POST if request.method == "POST" else None, actor=request.actor)
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                secret = _create(request, form.cleaned_data)
            except DomainError as error:
                form.refuse(error)
                refused(request, error)
                status = status_of(error)
            else:
                form, status = TokenForm(actor=request.actor), 201
    mine = ApiToken.objects.filter(tenant_id=request.actor.tenant_id, person=request.actor.person_id)
    context = {"form": form, "secret": secret, "tokens": mine.order_by("-created_at")[:100]}
    response = render(request, "itsm/tokens.html", context, status=status)
    add_never_cache_headers(response)
    return response


def _create(request: TenantRequest, data: dict[str, Any]) -> str:
    day = data["expires_at"]
    # "Valid until the 5th" includes the 5th, where the person reads it.
    expires_at = datetime.combine(day, time(23, 59, 59), timezone.get_current_timezone()) if day else None
    return create_token(actor=request.actor, name=data["name"], scopes=data["scopes"], expires_at=expires_at)[1]


@tenant_page
@require_POST
def revoke(request: TenantRequest, token_id: UUID) -> HttpResponseBase:
    """End one of one's tokens (a tenant admin: anybody's)."""
    revoke_token(actor=request.actor, token_id=token_id)
    messages.success(request, _("The token is revoked."))
    return redirect("tokens")
