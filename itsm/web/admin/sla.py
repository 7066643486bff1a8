"""Service levels: calendars, policies, holidays to take over, what a change would move, and why a ticket has its promise."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from itsm.access.decide import authorize, visible_to
from itsm.doors.problems import status_of
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, NotFound
from itsm.kernel.ids import is_uuid
from itsm.kernel.unset import UNSET
from itsm.sla.calendar_file import read_hours
from itsm.sla.commands import (
    change_calendar,
    change_policy,
    create_calendar,
    create_policy,
    order_policies,
    update_calendar,
    update_policy,
)
from itsm.sla.commands.calendars import newest_version
from itsm.sla.commands.references import newest_terms
from itsm.sla.models import SlaCalendar, SlaCalendarVersion, SlaPolicy
from itsm.sla.preview import Preview, preview_calendar, preview_policy
from itsm.sla.public_holidays import Proposal, propose, with_proposals, years_of
from itsm.sla.terms import read_terms
from itsm.sla.why import explain_match
from itsm.tickets.models import Ticket
from itsm.web.admin import sla_display as display
from itsm.web.admin.base import CommandAdmin
from itsm.web.admin.sites import site
from itsm.web.admin.sla_forms import CalendarForm, HolidayForm, HoursForm, PolicyForm, TermsForm
from itsm.web.pages import refused
from itsm.web.refusals import refusal_text


class _SlaAdmin(CommandAdmin):
    """What both have in common: pages beside the form, for one row."""

    read: ClassVar = ("sla.read",)
    manage = "sla.manage"
    change_form_template = "itsm/admin/sla_form.html"
    #: Address → name of the view.
    pages: ClassVar[tuple[str, ...]] = ()

    def get_urls(self) -> list[Any]:
        name = self.opts.model_name
        own = [
            path(
                f"<str:object_id>/{page}/",
                self.admin_site.admin_view(getattr(self, f"{page}_page")),
                name=f"sla_{name}_{page}",
            )
            for page in self.pages
        ]
        return [*own, *super().get_urls()]

    def one(self, request: Any, object_id: str) -> Any:
        """The row of the address. Raises NotFound."""
        authorize(request.actor, "sla.read")
        row = self.get_queryset(request).filter(pk=object_id).first() if is_uuid(object_id) else None
        if row is None:
            raise NotFound
        return row

    def page(
        self, request: Any, template: str, row: Any, error: DomainError | None = None, **context: Any
    ) -> HttpResponse:
        """A page of the admin about a row; with the status of what was refused."""
        if error is not None:
            refused(request, error)
        context |= {**self.admin_site.each_context(request), "opts": self.opts, "row": row}
        context["refusal"] = "" if error is None else refusal_text(error)
        return render(request, template, context, status=200 if error is None else status_of(error))

    def change_address(self, row: Any) -> str:
        return reverse(f"{self.admin_site.name}:sla_{self.opts.model_name}_change", args=[row.pk])


@admin.register(SlaCalendar, site=site)
class SlaCalendarAdmin(_SlaAdmin):
    form = CalendarForm
    pages: ClassVar = ("preview", "export", "holidays")
    places: ClassVar = {"active": "is_active"}
    list_display = ("name", "time_zone", "usual_week", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("week", "exceptions", "versions")

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        written = ("hours", "file", "labels", "effective_from") if self.has_change_permission(request) else ()
        if obj is None:
            return ((None, {"fields": ("name", *written)}),)
        return (
            (None, {"fields": ("name", "is_active", "week", "exceptions")}),
            *(((gettext_lazy("The next version"), {"fields": written}),) if written else ()),
            (gettext_lazy("Versions"), {"fields": ("versions",)}),
        )

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        return create_calendar(
            actor=actor,
            name=data["name"],
            hours=data["file"] or data["hours"],
            labels=data["labels"] or {},
            effective_from=data["effective_from"],
        )

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        basic = {
            ("active" if name == "is_active" else name): data[name] for name in ("name", "is_active") if name in data
        }
        if basic:
            update_calendar(actor=actor, calendar_id=row.pk, **basic)
        if {"hours", "file", "labels", "effective_from"} & set(data):
            newest = newest_version(row)
            change_calendar(
                actor=actor,
                calendar_id=row.pk,
                hours=data.get("file") or data.get("hours") or newest.hours,
                labels=data["labels"] or {} if "labels" in data else UNSET,
                effective_from=data.get("effective_from"),
            )

    # --- What it looks like ------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("Hours"))
    def usual_week(self, row: Any) -> str:
        days = [display.shifts_text(shifts) for shifts in read_hours(newest_version(row).hours).weekly]
        return days[0] if len(set(days)) == 1 else ", ".join(dict.fromkeys(days[:5]))

    @admin.display(description=gettext_lazy("Week"))
    def week(self, row: Any) -> str:
        return display.week(read_hours(newest_version(row).hours))

    @admin.display(description=gettext_lazy("Next days that differ"))
    def exceptions(self, row: Any) -> str:
        newest = newest_version(row)
        return display.next_exceptions(read_hours(newest.hours), newest.labels)

    @admin.display(description=gettext_lazy("Versions"))
    def versions(self, row: Any) -> str:
        found = SlaCalendarVersion.objects.filter(calendar_id=row.pk).select_related("created_by").order_by("-version")
        rows = [
            (v.version, v.effective_from, v.created_by.name if v.created_by_id else "", v.created_at)
            for v in found[:50]
        ]
        return display.table((_("Version"), _("From"), _("By"), _("Written")), rows)

    # --- Pages beside the form ---------------------------------------------------------------------------------------

    def preview_page(self, request: Any, object_id: str) -> HttpResponse:
        """What the hours of the form would move. Nothing is saved."""
        row = self.one(request, object_id)
        authorize(request.actor, "sla.manage")
        form = HoursForm(request.POST if request.method == "POST" else None)
        found: Preview | None = None
        error: DomainError | None = None
        if form.is_valid():
            try:
                found = preview_calendar(
                    request.actor, row.pk, form.cleaned_data["hours"], form.cleaned_data["effective_from"]
                )
            except DomainError as refusal:
                error = refusal
        return self.page(
            request, "itsm/admin/sla_preview.html", row, error, found=found, form=form, back=self.change_address(row)
        )

    def export_page(self, request: Any, object_id: str) -> HttpResponse:
        """The newest hours as a file, as import and manage.py sla_deadline take it."""
        row = self.one(request, object_id)
        body = json.dumps(newest_version(row).hours, indent=2, ensure_ascii=False) + "\n"
        response = HttpResponse(body, content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="calendar-{row.pk}.json"'
        return response

    def holidays_page(self, request: Any, object_id: str) -> HttpResponse:
        """Holidays of a country to look through; those that are ticked become exceptions by a new version."""
        row = self.one(request, object_id)
        authorize(request.actor, "sla.manage")
        given = request.POST if request.method == "POST" else request.GET
        form = HolidayForm(given if "country" in given else None)
        found: list[Proposal] = []
        error: DomainError | None = None
        newest = newest_version(row)
        if form.is_valid():
            try:
                data = form.cleaned_data
                years = years_of(data["years"])
                found = propose(
                    read_hours(newest.hours), data["country"], data["subdivision"], years, request.LANGUAGE_CODE
                )
                if request.method == "POST":
                    return self._take(
                        request, row, [one for one in found if one.day.isoformat() in given.getlist("day")]
                    )
            except DomainError as refusal:
                error = refusal
        context = {"form": form, "found": found, "back": self.change_address(row)}
        return self.page(request, "itsm/admin/sla_holidays.html", row, error, **context)

    def _take(self, request: Any, row: Any, chosen: list[Proposal]) -> HttpResponse:
        newest = newest_version(row)
        hours, labels = with_proposals(read_hours(newest.hours), newest.labels, chosen)
        if chosen:
            change_calendar(actor=request.actor, calendar_id=row.pk, hours=hours, labels=labels)
        messages.success(request, _("Days taken over: %(count)d") % {"count": len(chosen)})
        return HttpResponseRedirect(self.change_address(row))


@admin.register(SlaPolicy, site=site)
class SlaPolicyAdmin(_SlaAdmin):
    form = PolicyForm
    pages: ClassVar = ("preview",)
    places: ClassVar = {"active": "is_active"}
    fixed: ClassVar = ("metric",)
    change_list_template = "itsm/admin/sla_policies.html"
    list_display = ("name", "metric", "position", "promises", "is_active")
    list_filter = ("metric", "is_active")
    search_fields = ("name",)
    ordering = ("metric", "position")
    readonly_fields = ("targets", "version")
    actions = ("ask_first", "ask_last")

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        written = ("terms", "apply") if self.has_change_permission(request) else ()
        if obj is None:
            return ((None, {"fields": ("name", "metric", *written)}),)
        return (
            (None, {"fields": ("name", "metric", "is_active", "version", "targets")}),
            *(((gettext_lazy("The next version"), {"fields": written}),) if written else ()),
        )

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        names = ("name", "metric", "terms", "apply")
        return create_policy(actor=actor, **{name: data[name] for name in names})

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        basic = {
            ("active" if name == "is_active" else name): data[name] for name in ("name", "is_active") if name in data
        }
        apply = bool(data.get("apply"))
        # A policy that comes back with the same terms needs no new version to ask the open clocks.
        comes_back = apply and basic.get("active") is True and "terms" not in data
        if basic:
            update_policy(actor=actor, policy_id=row.pk, apply=comes_back, **basic)
        if not comes_back and {"terms", "apply"} & set(data):
            terms = data.get("terms") or newest_terms([row])[row.pk].terms
            change_policy(actor=actor, policy_id=row.pk, terms=terms, apply=apply)

    @admin.display(description=gettext_lazy("Targets"))
    def targets(self, row: Any) -> str:
        return display.targets(read_terms(row.metric, newest_terms([row])[row.pk].terms))

    @admin.display(description=gettext_lazy("Targets"))
    def promises(self, row: Any) -> str:
        return ", ".join(one.promise for one in read_terms(row.metric, newest_terms([row])[row.pk].terms).rows[:8])

    @admin.display(description=gettext_lazy("Version"))
    def version(self, row: Any) -> str:
        newest = newest_terms([row])[row.pk]
        return format_html("{}", newest.version)

    @admin.action(description=gettext_lazy("Ask the selected one first"), permissions=["change"])
    def ask_first(self, request: Any, queryset: QuerySet[Any]) -> None:
        self._move(request, queryset, first=True)

    @admin.action(description=gettext_lazy("Ask the selected one last"), permissions=["change"])
    def ask_last(self, request: Any, queryset: QuerySet[Any]) -> None:
        self._move(request, queryset, first=False)

    def _move(self, request: Any, queryset: QuerySet[Any], *, first: bool) -> None:
        for row in queryset[:1]:
            rows = self.get_queryset(request).filter(metric=row.metric).exclude(pk=row.pk).order_by("position", "pk")
            others = list(rows.values_list("pk", flat=True))
            order = [row.pk, *others] if first else [*others, row.pk]
            try:
                order_policies(actor=request.actor, metric=row.metric, policy_ids=order)
            except DomainError as error:
                self.message_user(request, refusal_text(error), messages.ERROR)

    # --- Pages beside the form ---------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        why = path("why/", self.admin_site.admin_view(self.why_page), name="sla_slapolicy_why")
        return [why, *super().get_urls()]

    def preview_page(self, request: Any, object_id: str) -> HttpResponse:
        """What the terms of the form would move if they were applied. Nothing is saved."""
        row = self.one(request, object_id)
        authorize(request.actor, "sla.manage")
        found: Preview | None = None
        error: DomainError | None = None
        form = TermsForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                found = preview_policy(request.actor, form.cleaned_data["terms"], policy_id=row.pk)
            except DomainError as refusal:
                error = refusal
        return self.page(
            request, "itsm/admin/sla_preview.html", row, error, found=found, form=form, back=self.change_address(row)
        )

    def why_page(self, request: Any) -> HttpResponse:
        """Which policies were asked for a ticket, and what each of them missed in it."""
        authorize(request.actor, "sla.read")
        number = str(request.GET.get("ticket", "")).strip().upper()[:40]
        ticket, matches = None, []
        if number.isascii() and number.isalnum():
            ticket = visible_to(request.actor, Ticket.objects.all()).filter(number=number).first()
        if ticket is not None:
            matches = explain_match(request.actor, ticket)
        return self.page(
            request,
            "itsm/admin/sla_why.html",
            None,
            number=number,
            ticket=ticket,
            matches=matches,
            title=_("Why this SLA?"),
        )
