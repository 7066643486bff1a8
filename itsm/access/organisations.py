"""The companies and units that requesters belong to."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from itsm.access.decide import authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.tenancy.fetch import locked, refuse_taken
from itsm.tenancy.models import Organisation

#: How many levels of parents are followed before a chain counts as a loop.
_LEVELS = 10


def create_organisation(*, actor: Actor, name: str, parent_id: UUID | None = None) -> Organisation:
    """Add an organisation, on its own or as a unit of another one."""
    clean_name = _name(name)
    with unit_of_work(actor) as work:
        authorize(actor, "person.manage")
        refuse_taken(Organisation, actor.tenant_id, "an organisation", name=clean_name)
        _parent(actor, parent_id, None)
        organisation = Organisation(tenant_id=actor.tenant_id, name=clean_name, parent_id=parent_id)
        work.add(organisation)
        work.emit("organisation.created", organisation=organisation.pk)
    return organisation


def update_organisation(
    *,
    actor: Actor,
    organisation_id: UUID,
    name: str | Unset = UNSET,
    parent_id: UUID | None | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> Organisation:
    """Change an organisation; an inactive one stays with its people."""
    clean: dict[str, Any] = {} if name is UNSET else {"name": _name(name)}
    if active is not UNSET:
        clean["is_active"] = active
    with unit_of_work(actor) as work:
        authorize(actor, "person.manage")
        organisation = locked(Organisation, actor.tenant_id, organisation_id)
        if "name" in clean:
            refuse_taken(Organisation, actor.tenant_id, "an organisation", but=organisation.pk, name=clean["name"])
        if parent_id is not UNSET:
            _parent(actor, parent_id, organisation.pk)
            clean["parent_id"] = parent_id
        changed = sorted(field for field, value in clean.items() if getattr(organisation, field) != value)
        for field in changed:
            setattr(organisation, field, clean[field])
        if changed:
            work.changed(organisation, *changed)
            work.emit("organisation.changed", organisation=organisation.pk, fields=changed)
    return organisation


def _name(name: str) -> str:
    problems = Problems()
    clean = clean_text(problems, "name", name, limit=200, required=True, line=True)
    problems.raise_if_any()
    return clean


def _parent(actor: Actor, parent_id: UUID | None, child_id: UUID | None) -> None:
    """Raise Invalid for a parent that does not exist or that is below the child."""
    step = parent_id
    for _ in range(_LEVELS):
        if step is None:
            return
        if step == child_id:
            raise Invalid.one("parent", "loop", "This would make the organisation its own ancestor.")
        row = Organisation.objects.filter(tenant_id=actor.tenant_id, pk=step).values_list("parent_id").first()
        if row is None:
            raise Invalid.one("parent", "unknown_reference", "There is no organisation with this id.")
        step = row[0]
    raise Invalid.one("parent", "too_deep", f"Organisations may be nested {_LEVELS} levels deep.")
