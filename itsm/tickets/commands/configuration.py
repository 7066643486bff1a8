"""What a desk can choose from and how it works: services, categories, the priority matrix, the settings."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from itsm.access.decide import authorize
from itsm.events.write import UnitOfWork, unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.tenancy.fetch import locked, refuse_taken
from itsm.tenancy.fields import TenantModel
from itsm.tenancy.locale import check_language, check_time_zone
from itsm.tenancy.models import TenantSettings
from itsm.tickets.models import Category, DeskSettings, PriorityRule, Service
from itsm.tickets.priority import LEVELS

M = TypeVar("M", bound=TenantModel)


def create_service(*, actor: Actor, name: str, description: str = "") -> Service:
    """Add a service that tickets can be about."""
    clean = _checked(name=name, description=description)
    with unit_of_work(actor) as work:
        authorize(actor, "service.manage")
        refuse_taken(Service, actor.tenant_id, "a service", name=clean["name"])
        service = Service(tenant_id=actor.tenant_id, **clean)
        work.add(service)
        work.emit("service.created", service=service.pk)
    return service


def update_service(
    *,
    actor: Actor,
    service_id: UUID,
    name: str | Unset = UNSET,
    description: str | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> Service:
    """Change a service; an inactive one stays on its tickets and cannot be chosen any more."""
    clean = _checked(name=name, description=description)
    if active is not UNSET:
        clean["is_active"] = active
    with unit_of_work(actor) as work:
        authorize(actor, "service.manage")
        service = locked(Service, actor.tenant_id, service_id)
        if "name" in clean:
            refuse_taken(Service, actor.tenant_id, "a service", but=service.pk, name=clean["name"])
        if changed := _apply(work, service, clean):
            work.emit("service.changed", service=service.pk, fields=changed)
    return service


def create_category(*, actor: Actor, name: str, parent_id: UUID | None = None) -> Category:
    """Add a category, at the top or below another one."""
    clean = _checked(name=name)
    with unit_of_work(actor) as work:
        authorize(actor, "category.manage")
        if parent_id is not None and not Category.objects.filter(tenant_id=actor.tenant_id, pk=parent_id).exists():
            raise Invalid.one("parent", "unknown_reference", "There is no category with this id.")
        refuse_taken(Category, actor.tenant_id, "a category", name=clean["name"], parent_id=parent_id)
        category = Category(tenant_id=actor.tenant_id, parent_id=parent_id, **clean)
        work.add(category)
        work.emit("category.created", category=category.pk)
    return category


def update_category(
    *, actor: Actor, category_id: UUID, name: str | Unset = UNSET, active: bool | Unset = UNSET
) -> Category:
    """Change a category; an inactive one stays on its tickets and cannot be chosen any more."""
    clean = _checked(name=name)
    if active is not UNSET:
        clean["is_active"] = active
    with unit_of_work(actor) as work:
        authorize(actor, "category.manage")
        category = locked(Category, actor.tenant_id, category_id)
        if "name" in clean:
            refuse_taken(
                Category,
                actor.tenant_id,
                "a category",
                but=category.pk,
                name=clean["name"],
                parent_id=category.parent_id,
            )
        if changed := _apply(work, category, clean):
            work.emit("category.changed", category=category.pk, fields=changed)
    return category


def set_priority_rule(*, actor: Actor, impact: int, urgency: int, priority: int) -> PriorityRule:
    """Set one cell of the matrix. Holds for tickets from now on; those that exist keep their priority."""
    problems = Problems()
    for name, value in (("impact", impact), ("urgency", urgency)):
        if value not in LEVELS:
            problems.add(name, "out_of_range", f"{name} must be 1 (high), 2 (medium) or 3 (low).", low=1, high=3)
    if not 1 <= priority <= 5:
        problems.add("priority", "out_of_range", "priority must be 1 (critical) to 5 (planning).", low=1, high=5)
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "settings.manage")
        rule: PriorityRule = PriorityRule.objects.select_for_update().get(
            tenant_id=actor.tenant_id, impact=impact, urgency=urgency
        )
        if rule.priority != priority:
            work.emit("priority_rule.changed", impact=impact, urgency=urgency, priority=[rule.priority, priority])
            rule.priority = priority
            work.changed(rule, "priority")
    return rule


def update_settings(
    *,
    actor: Actor,
    reopen_days: int | Unset = UNSET,
    auto_close_days: int | Unset = UNSET,
    major_review_days: int | Unset = UNSET,
    retention_days: int | None | Unset = UNSET,
    attachment_max_bytes: int | Unset = UNSET,
    time_zone: str | Unset = UNSET,
    language: str | Unset = UNSET,
) -> DeskSettings:
    """Change how the desk works, and the zone and language of who chose none; what is UNSET stays."""
    problems = Problems()
    clean: dict[str, Any] = {}
    for name, value, low, high in (
        ("reopen_days", reopen_days, 0, 365),
        ("auto_close_days", auto_close_days, 0, 365),
        ("major_review_days", major_review_days, 0, 365),
        ("retention_days", retention_days, 1, 36_500),
        ("attachment_max_bytes", attachment_max_bytes, 0, 100 * 1024 * 1024),
    ):
        if value is UNSET:
            continue
        if value is None and name != "retention_days":
            problems.add(name, "required", f"{name} must be a number.")
        elif value is not None and not low <= value <= high:
            problems.add(name, "out_of_range", f"{name} must be from {low} to {high}.", low=low, high=high)
        clean[name] = value
    for_everybody: dict[str, Any] = {}
    if time_zone is not UNSET:
        check_time_zone(problems, time_zone)
        for_everybody["time_zone"] = time_zone
    if language is not UNSET:
        check_language(problems, language)
        for_everybody["language"] = language
    problems.raise_if_any()
    with unit_of_work(actor) as work:
        authorize(actor, "settings.manage")
        desk: DeskSettings = DeskSettings.objects.select_for_update().get(tenant_id=actor.tenant_id)
        changed = _apply(work, desk, clean)
        if for_everybody:
            everybody = TenantSettings.objects.select_for_update().get(tenant_id=actor.tenant_id)
            changed += _apply(work, everybody, for_everybody)
        if changed:
            work.emit("settings.changed", fields=sorted(changed))
    return desk


def _checked(*, name: str | Unset = UNSET, description: str | Unset = UNSET) -> dict[str, Any]:
    problems = Problems()
    clean: dict[str, Any] = {}
    if name is not UNSET:
        clean["name"] = clean_text(problems, "name", name, limit=120, required=True, line=True)
    if description is not UNSET:
        clean["description"] = clean_text(problems, "description", description, limit=500)
    problems.raise_if_any()
    return clean


def _apply(work: UnitOfWork, row: TenantModel, values: dict[str, Any]) -> list[str]:
    changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        work.changed(row, *changed)
    return changed
