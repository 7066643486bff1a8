"""How the desk works: settings, priority matrix, services, categories."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from itsm.kernel.actor import Actor
from itsm.tenancy.models import TenantSettings
from itsm.tickets.commands import configuration
from itsm.tickets.models import Category, DeskSettings, PriorityRule, Service
from itsm.web.admin.base import CommandAdmin, CommandModelForm, choice
from itsm.web.admin.sites import site
from itsm.web.admin.tree import TreeAdmin, given
from itsm.web.choices import zones


class DeskSettingsForm(CommandModelForm):
    """The desk's own settings, and those that hold for everybody in the organisation."""

    time_zone = choice(_("Time zone"), zones)
    language = choice(_("Language"), settings.LANGUAGES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        everybody = _for_everybody(self.instance)
        self.initial.update(time_zone=everybody.time_zone, language=everybody.language)


def _for_everybody(desk: Any) -> TenantSettings:
    found: TenantSettings = TenantSettings.objects.get(tenant_id=desk.tenant_id)
    return found


@admin.register(DeskSettings, site=site)
class DeskSettingsAdmin(CommandAdmin):
    read: ClassVar = ("settings.read",)
    manage = "settings.manage"
    creates = False
    form = DeskSettingsForm
    fields = (
        "time_zone",
        "language",
        "reopen_days",
        "auto_close_days",
        "major_review_days",
        "retention_days",
        "attachment_max_bytes",
    )
    list_display = ("name", "time_zone", "language", "reopen_days", "auto_close_days", "retention_days")

    @admin.display(description=_("Desk settings"))
    def name(self, row: DeskSettings) -> str:
        return str(_("Desk settings"))

    @admin.display(description=_("Time zone"))
    def time_zone(self, row: DeskSettings) -> str:
        return _for_everybody(row).time_zone

    @admin.display(description=_("Language"))
    def language(self, row: DeskSettings) -> str:
        return _for_everybody(row).language

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        configuration.update_settings(actor=actor, **data)


@admin.register(PriorityRule, site=site)
class PriorityRuleAdmin(CommandAdmin):
    read: ClassVar = ("settings.read",)
    manage = "settings.manage"
    creates = False
    fields = ("impact", "urgency", "priority")
    fixed = ("impact", "urgency")
    list_display = ("cell", "impact", "urgency", "priority")
    ordering = ("impact", "urgency")

    @admin.display(description=_("Cell"))
    def cell(self, row: PriorityRule) -> str:
        return f"{row.impact} × {row.urgency}"

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        configuration.set_priority_rule(actor=actor, impact=row.impact, urgency=row.urgency, priority=data["priority"])


@admin.register(Service, site=site)
class ServiceAdmin(CommandAdmin):
    read: ClassVar = ("service.read",)
    manage = "service.manage"
    fields = ("name", "description", "is_active")
    list_display = ("name", "description", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    ordering = ("name",)

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        service = configuration.create_service(actor=actor, name=data["name"], description=data["description"])
        if not data["is_active"]:
            configuration.update_service(actor=actor, service_id=service.pk, active=False)
        return service

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        configuration.update_service(actor=actor, service_id=row.pk, **given(data))


@admin.register(Category, site=site)
class CategoryAdmin(TreeAdmin):
    read: ClassVar = ("category.read",)
    manage = "category.manage"
    fixed = ("parent",)

    def make(self, actor: Actor, **fields: Any) -> Model:
        return configuration.create_category(actor=actor, **fields)

    def change(self, actor: Actor, row: Any, **fields: Any) -> None:
        configuration.update_category(actor=actor, category_id=row.pk, **fields)
