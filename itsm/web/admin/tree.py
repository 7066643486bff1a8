"""Named rows in a tree: categories, organisations."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model

from itsm.kernel.actor import Actor
from itsm.web.admin.base import CommandAdmin


def given(data: dict[str, Any]) -> dict[str, Any]:
    """Form fields as commands call them: ``active`` for the flag, ``parent_id`` for the row above."""
    named = {("active" if name == "is_active" else name): value for name, value in data.items()}
    if "parent" in named:
        parent = named.pop("parent")
        named["parent_id"] = parent.pk if parent else None
    return named


class TreeAdmin(CommandAdmin):
    """A name, a parent, and whether it is in use. The commands are the subclass's."""

    fields = ("name", "parent", "is_active")
    list_display = ("name", "parent", "is_active")
    list_select_related = ("parent",)
    list_filter = ("is_active",)
    search_fields = ("name",)
    ordering = ("name",)
    fixed: ClassVar[tuple[str, ...]] = ()

    def make(self, actor: Actor, **fields: Any) -> Model:
        """Run the command that makes the row, in use."""
        raise NotImplementedError

    def change(self, actor: Actor, row: Any, **fields: Any) -> None:
        """Run the command that changes the row."""
        raise NotImplementedError

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        fields = given(data)
        active = fields.pop("active")
        row = self.make(actor, **fields)
        if not active:
            self.change(actor, row, active=False)
        return row

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        self.change(actor, row, **given(data))
