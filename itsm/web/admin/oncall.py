"""On-call schedules and their layers. Who is on call now, overrides and calendars are on a page of their own."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, Invalid
from itsm.oncall import commands
from itsm.oncall.layers import PARTICIPANTS_MAX, LayerRules, read_restrictions, restrictions_text
from itsm.oncall.models import OnCallLayer, OnCallParticipant, OnCallSchedule
from itsm.oncall.schedules import visible_schedules
from itsm.tenancy.models import Person
from itsm.web.admin.base import CommandAdmin, CommandModelForm, choice
from itsm.web.admin.sites import site
from itsm.web.choices import zones


@admin.register(OnCallSchedule, site=site)
class OnCallScheduleAdmin(CommandAdmin):
    read: ClassVar = ("oncall.read",)
    manage = "oncall.manage"
    fields = ("name", "description", "team", "is_active")
    list_display = ("name", "team", "is_active")
    list_select_related = ("team",)
    list_filter = ("is_active",)
    search_fields = ("name",)
    ordering = ("name",)

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        return super().get_queryset(request).filter(pk__in=visible_schedules(request.actor).values("pk"))

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        made = commands.create_schedule(
            actor=actor,
            name=data["name"],
            description=data["description"],
            team_id=data["team"].pk if data["team"] else None,
        )
        if not data["is_active"]:
            commands.update_schedule(actor=actor, schedule_id=made.pk, active=False)
        return made

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        fields = {("active" if name == "is_active" else name): value for name, value in data.items()}
        if "team" in fields:
            team = fields.pop("team")
            fields["team_id"] = team.pk if team else None
        commands.update_schedule(actor=actor, schedule_id=row.pk, **fields)


class OnCallLayerForm(CommandModelForm):
    """A layer. People and hours are lines of text, which is how one reads an order."""

    time_zone = choice(gettext_lazy("Time zone"), zones)
    participants = forms.CharField(
        label=gettext_lazy("People in their order"),
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=gettext_lazy("One a line: e-mail address or full name."),
    )
    restrictions = forms.CharField(
        label=gettext_lazy("Only at"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "Such as: mon-fri 17:00-09:00, and on a line of its own: sat,sun 00:00-24:00. Empty: always."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            rows = OnCallParticipant.objects.filter(layer_id=self.instance.pk).select_related("person")
            people = [row.person.email_key or row.person.name for row in rows.order_by("position")]
            self.initial["participants"] = "\n".join(people)
            self.initial["restrictions"] = restrictions_text(self.instance.restrictions)

    def clean_restrictions(self) -> dict[str, Any]:
        try:
            return read_restrictions(self.cleaned_data["restrictions"])
        except Invalid as error:
            raise ValidationError(error.detail) from error

    def clean_participants(self) -> list[UUID]:
        """The people's ids; somebody who has left is known as well, and the command says where he may stay."""
        lines = [line.strip() for line in self.cleaned_data["participants"].splitlines() if line.strip()]
        if len(lines) > PARTICIPANTS_MAX:
            raise ValidationError(_("There are too many people."))
        # Of this organisation: the request runs inside it.
        people = Person.objects.filter(erased_at__isnull=True)
        found = []
        for line in lines:
            ids = people.filter(**({"email_key": line.lower()} if "@" in line else {"name": line}))
            known = list(ids.order_by("-is_active").values_list("pk", "is_active")[:2])
            if not known or (len(known) > 1 and known[1][1]):
                told = _("Several people are called %(name)s. Write the e-mail address.")
                text = told if known else _("Nobody here is called %(name)s.")
                raise ValidationError(text % {"name": line[:80]})
            found.append(known[0][0])
        return found


@admin.register(OnCallLayer, site=site)
class OnCallLayerAdmin(CommandAdmin):
    read: ClassVar = ("oncall.read",)
    manage = "oncall.manage"
    form = OnCallLayerForm
    fields = (
        "schedule",
        "name",
        "time_zone",
        "starts_on",
        "handoff",
        "unit",
        "every",
        "participants",
        "restrictions",
    )
    fixed = ("schedule",)
    list_display = ("name", "schedule", "position", "every", "unit", "handoff", "time_zone", "starts_on")
    list_select_related = ("schedule",)
    search_fields = ("name", "schedule__name")
    ordering = ("schedule__name", "position")
    actions = ("remove",)

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        return super().get_queryset(request).filter(schedule_id__in=visible_schedules(request.actor).values("pk"))

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "schedule":
            kwargs.setdefault("queryset", visible_schedules(request.actor).order_by("name"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        rules = {name: value for name, value in data.items() if name != "schedule"}
        return commands.add_layer(actor=actor, schedule_id=data["schedule"].pk, rules=LayerRules(**rules))

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        # The form has put what was typed into the row; the people are rows of their own.
        names = ("name", "time_zone", "starts_on", "handoff", "unit", "every", "restrictions")
        people = data.get("participants")
        if people is None:
            there = OnCallParticipant.objects.filter(layer_id=row.pk).order_by("position")
            people = list(there.values_list("person_id", flat=True))
        rules = {name: getattr(row, name) for name in names}
        commands.update_layer(actor=actor, layer_id=row.pk, rules=LayerRules(**rules, participants=people))

    @admin.action(description=gettext_lazy("Remove the selected layers"), permissions=["change"])
    def remove(self, request: Any, queryset: QuerySet[Any]) -> None:
        for layer in queryset[:100]:
            try:
                commands.remove_layer(actor=request.actor, layer_id=layer.pk)
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                self.message_user(request, _("Removed: %(layer)s") % {"layer": layer.name})
