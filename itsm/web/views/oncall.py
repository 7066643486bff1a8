"""Who is on call: all schedules, one schedule with its overrides, calendars in and out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from itsm.access.decide import allows, authorize
from itsm.doors.problems import status_of
from itsm.kernel import clock
from itsm.kernel.errors import DomainError, Forbidden
from itsm.oncall import commands
from itsm.oncall.calendar_in import decode
from itsm.oncall.feeds import feed_content
from itsm.oncall.models import OnCallFeed
from itsm.oncall.schedules import Plan, find_schedule, plan_of, plans, visible_schedules
from itsm.web.forms import CommandForm, PersonField
from itsm.web.oncall_week import board_of, hours_text, turns_text
from itsm.web.pages import TenantRequest, refused, tenant_page
from itsm.web.places import Place

ON_CALL = Place("oncall", gettext_lazy("On call"), lambda actor: allows(actor, "oncall.read"))
#: The page shows no more schedules than this; the API has pages.
_SCHEDULES_MAX = 50
_OVERRIDES_MAX = 100
_LOCAL = "%Y-%m-%dT%H:%M"


class _Moment(forms.DateTimeField):
    """A wall time in the reader's zone."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_LOCAL)
        super().__init__(widget=widget, input_formats=[_LOCAL, "%Y-%m-%dT%H:%M:%S"], **kwargs)

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except (OverflowError, ValueError) as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error


class OverrideForm(CommandForm):
    """Somebody else for a time. Who does not manage schedules chooses among those who take turns."""

    places: ClassVar = {"person": "person_id"}
    starts_at = _Moment(label=gettext_lazy("From"))
    ends_at = _Moment(label=gettext_lazy("Until"))
    person_id = PersonField(
        label=gettext_lazy("Who is on call instead"),
        required=False,
        help_text=gettext_lazy("Full name or e-mail address. Empty: deliberately nobody."),
    )

    def __init__(self, *args: Any, plan: Plan, manages: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not manages:
            turns = {person for layer in plan.rota.layers for person in layer.people}
            mates = [plan.people[one] for one in turns - plan.away if one != self.actor.person_id]
            self.fields["person_id"] = forms.ChoiceField(
                label=_("Who takes your shift"),
                choices=[(str(one.pk), one.name) for one in sorted(mates, key=lambda one: one.name)],
            )

    def given(self) -> dict[str, Any]:
        """The command's inputs."""
        data = dict(self.cleaned_data)
        person = data["person_id"]
        data["person_id"] = UUID(person) if isinstance(person, str) else person.pk if person else None
        return data


class CalendarForm(CommandForm):
    """A calendar as a file or as pasted text."""

    file = forms.FileField(label=gettext_lazy("Calendar file (.ics)"), required=False)
    calendar = forms.CharField(
        label=gettext_lazy("Or its text"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )

    def text(self) -> str:
        """The calendar. Raises Invalid for a file that is no text."""
        file = self.cleaned_data.get("file")
        return decode(file.read()) if file else self.cleaned_data["calendar"]


class FeedForm(CommandForm):
    """Which shifts a calendar address shows."""

    places: ClassVar = {"schedule": "schedule_id"}
    schedule_id = forms.ChoiceField(label=gettext_lazy("Shifts"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = visible_schedules(self.actor).filter(is_active=True).order_by("name")[:500]
        pairs = [(str(row.pk), row.name) for row in rows]
        self.offer("schedule_id", pairs, _("My own shifts in all schedules"))


@tenant_page
@require_safe
def overview(request: TenantRequest) -> HttpResponse:
    """All schedules in use: now, and the next seven days."""
    authorize(request.actor, "oncall.read")
    now = clock.now()
    rows = visible_schedules(request.actor).filter(is_active=True).select_related("team").order_by("name")
    found = list(rows[: _SCHEDULES_MAX + 1])
    boards = [
        board_of(plan, now, reader=request.actor.person_id)
        for plan in plans(found[:_SCHEDULES_MAX], now - timedelta(days=1))
    ]
    context = {
        "boards": boards,
        "more": len(found) > _SCHEDULES_MAX,
        "manages": allows(request.actor, "oncall.manage"),
    }
    return render(request, "itsm/oncall/overview.html", context)


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def schedule(request: TenantRequest, schedule_id: UUID) -> HttpResponseBase:
    """One schedule: two weeks, layers, overrides; a POST adds an override."""
    found = find_schedule(request.actor, schedule_id)
    authorize(request.actor, "oncall.read")
    now = clock.now()
    plan = plan_of(found, now - timedelta(days=1))
    manages = allows(request.actor, "oncall.manage")
    form = OverrideForm(request.POST or None, actor=request.actor, plan=plan, manages=manages)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                commands.add_override(actor=request.actor, schedule_id=found.pk, **form.given())
            except DomainError as error:
                if isinstance(error, Forbidden):
                    form.add_error(None, _("You can hand over a time only in which you are on call yourself."))
                else:
                    form.refuse(error)
                refused(request, error)
                status = status_of(error)
            else:
                messages.success(request, _("The override is set."))
                return redirect("oncall-schedule", found.pk)
    context = {
        "board": board_of(plan, now, days=14, reader=request.actor.person_id),
        "layers": [
            (layer, plan.participants(layer), turns_text(layer), hours_text(layer)) for layer in reversed(plan.layers)
        ],
        "away": plan.away,
        "overrides": _overrides(request, plan),
        "form": form if manages or allows(request.actor, "oncall.swap") else None,
        "manages": manages,
        "in_admin": manages and allows(request.actor, "settings.read"),
    }
    return render(request, "itsm/oncall/schedule.html", context, status=status)


def _overrides(request: TenantRequest, plan: Plan) -> list[dict[str, Any]]:
    """Overrides that have not ended, each with whether the reader may take it away."""
    now, me = clock.now(), request.actor.person_id
    any_one, own = allows(request.actor, "oncall.manage"), allows(request.actor, "oncall.swap")
    rows = sorted((one for one in plan.overrides if one.ends_at > now), key=lambda one: one.starts_at)
    return [
        {
            "row": row,
            "person": plan.people.get(row.person_id) if row.person_id else None,
            "removable": any_one or (own and me is not None and row.made_by_id == me),
        }
        for row in rows[:_OVERRIDES_MAX]
    ]


@tenant_page
@require_POST
def remove_override(request: TenantRequest, schedule_id: UUID, override_id: UUID) -> HttpResponseBase:
    """Take an override away."""
    commands.remove_override(actor=request.actor, schedule_id=schedule_id, override_id=override_id)
    messages.success(request, _("The override is removed."))
    return redirect("oncall-schedule", schedule_id)


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def import_page(request: TenantRequest, schedule_id: UUID) -> HttpResponseBase:
    """A calendar, reviewed first; the button of the review sends it again to be applied."""
    found = find_schedule(request.actor, schedule_id)
    authorize(request.actor, "oncall.manage")
    form = CalendarForm(request.POST or None, request.FILES or None, actor=request.actor)
    context: dict[str, Any] = {"schedule": found, "form": form}
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                context["text"] = form.text()
                review = commands.import_calendar(
                    actor=request.actor,
                    schedule_id=found.pk,
                    text=context["text"],
                    apply=request.POST.get("apply") == "yes",
                )
            except DomainError as error:
                form.refuse(error)
                refused(request, error)
                status = status_of(error)
            else:
                if review.applied:
                    messages.success(request, _("The calendar is imported."))
                    return redirect("oncall-schedule", found.pk)
                context["review"], status = review, 200
    return render(request, "itsm/oncall/import.html", context, status=status)


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def calendars(request: TenantRequest) -> HttpResponse:
    """One's own calendar addresses, and making one: it is on the answer to this one POST and nowhere else."""
    authorize(request.actor, "oncall.read")
    address, status = "", 200
    form = FeedForm(request.POST or None, actor=request.actor)
    if request.method == "POST":
        status = 400
        if form.is_valid():
            chosen = form.cleaned_data["schedule_id"]
            try:
                _feed, secret = commands.create_feed(actor=request.actor, schedule_id=UUID(chosen) if chosen else None)
            except DomainError as error:
                form.refuse(error)
                refused(request, error)
                status = status_of(error)
            else:
                address = request.build_absolute_uri(reverse("oncall-feed", args=[secret]))
                form, status = FeedForm(actor=request.actor), 201
    rows = OnCallFeed.objects.filter(
        tenant_id=request.actor.tenant_id, person__in=[request.actor.person_id], revoked_at__isnull=True
    )
    feeds = rows.select_related("schedule").order_by("-created_at")
    response = render(
        request, "itsm/oncall/calendars.html", {"form": form, "address": address, "feeds": feeds}, status=status
    )
    add_never_cache_headers(response)
    return response


@tenant_page
@require_POST
def revoke_calendar(request: TenantRequest, feed_id: UUID) -> HttpResponseBase:
    """End a calendar address."""
    commands.revoke_feed(actor=request.actor, feed_id=feed_id)
    messages.success(request, _("The calendar address is revoked."))
    return redirect("oncall-calendars")


@tenant_page
@require_safe
def feed(request: TenantRequest, secret: str) -> HttpResponse:
    """The calendar behind an address; the door has looked up whose it is."""
    name, content = feed_content(request.actor)
    response = HttpResponse(content, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


urlpatterns: list[URLPattern] = [
    path("", overview, name="oncall"),
    path("calendars/", calendars, name="oncall-calendars"),
    path("calendars/<uuid:feed_id>/revoke/", revoke_calendar, name="oncall-calendar-revoke"),
    path("feeds/<slug:secret>.ics", feed, name="oncall-feed"),
    path("<uuid:schedule_id>/", schedule, name="oncall-schedule"),
    path("<uuid:schedule_id>/import/", import_page, name="oncall-import"),
    path("<uuid:schedule_id>/overrides/<uuid:override_id>/remove/", remove_override, name="oncall-override-remove"),
]
