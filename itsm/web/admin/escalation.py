"""Escalation policies. What one says is JSON, as the API takes it; each change of it is a new version."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from itsm.escalation import commands
from itsm.escalation.models import EscalationPolicy
from itsm.escalation.provision import terms
from itsm.escalation.runs import current_version
from itsm.kernel.actor import Actor
from itsm.kernel.errors import FieldProblem
from itsm.web.admin.base import CommandAdmin, CommandModelForm
from itsm.web.admin.sites import site
from itsm.web.refusals import problem_text

_TERMS_MAX = 50_000


class EscalationPolicyForm(CommandModelForm):
    """A policy with the newest version of what it says."""

    terms = forms.CharField(
        label=gettext_lazy("What it says"),
        max_length=_TERMS_MAX,
        widget=forms.Textarea(attrs={"rows": 30, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Triggers, steps and what happens at the end, as JSON. The guide for admins has examples."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        version = None if self.instance._state.adding else current_version(self.instance)
        said = version.terms if version is not None else terms()
        self.initial["terms"] = json.dumps(said, indent=2, ensure_ascii=False)

    def clean_terms(self) -> Any:
        try:
            return json.loads(self.cleaned_data["terms"])
        except (ValueError, RecursionError) as error:
            raise ValidationError(_("This is no JSON: %(reason)s") % {"reason": str(error)[:200]}) from error

    def said(self, problem: FieldProblem) -> str:
        """With the place in the JSON: ``steps/0/after``."""
        place = problem.pointer.removeprefix("/terms/")
        text = problem_text(problem)
        return text if place == problem.pointer else f"{place}: {text}"


@admin.register(EscalationPolicy, site=site)
class EscalationPolicyAdmin(CommandAdmin):
    read: ClassVar = ("escalation.read",)
    manage = "escalation.manage"
    form = EscalationPolicyForm
    fields = ("name", "is_active", "terms")
    list_display = ("name", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    ordering = ("name",)

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        return commands.create_policy(actor=actor, name=data["name"], terms=data["terms"], active=data["is_active"])

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        fields = {("active" if name == "is_active" else name): value for name, value in data.items()}
        commands.update_policy(actor=actor, policy_id=row.pk, **fields)
