"""The forms of a major incident: shape only."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy

from incidents.commands.major_people import ROLE_MAX
from incidents.commands.major_review import ACTION_MAX
from itsm.kernel.texts import BODY_MAX
from itsm.web.choices import Choices
from itsm.web.forms import PersonField, TicketForm

#: Actions that the form of a review has room for; the API takes more.
ACTIONS = 3


def _text(rows: int = 3, **kwargs: Any) -> forms.CharField:
    return forms.CharField(widget=forms.Textarea(attrs={"rows": rows}), max_length=BODY_MAX, **kwargs)


class _WithAgents(TicketForm):
    """A form that offers the agents of the desk."""

    agents: ClassVar[str] = "commander"
    empty: ClassVar[Any] = "—"

    def __init__(self, *args: Any, choices: Choices, present: UUID | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = {"choices": choices, "present": present}
        self.offer(self.agents, choices.agents(present), self.empty)


class DeclareForm(_WithAgents):
    empty = gettext_lazy("I lead it")
    reason = _text(label=gettext_lazy("Reason"), help_text=gettext_lazy("What makes it one. The desk reads this."))
    commander = forms.TypedChoiceField(label=gettext_lazy("Commander"), coerce=UUID, empty_value=None, required=False)
    raise_priority = forms.BooleanField(label=gettext_lazy("Raise impact and urgency to high"), required=False)


class UpdateForm(TicketForm):
    body = _text(
        4,
        label=gettext_lazy("Update"),
        help_text=gettext_lazy(
            "Requester, watchers, stakeholders and the requesters of all children read this. Markdown works."
        ),
    )


class RolesForm(_WithAgents):
    """Who leads, and one role or one stakeholder at a time."""

    places: ClassVar = {"roles": "role", "stakeholders": "stakeholder"}
    commander = forms.TypedChoiceField(
        label=gettext_lazy("Commander"), coerce=UUID, empty_value=None, required=False, show_hidden_initial=True
    )
    role = forms.CharField(
        label=gettext_lazy("Role"),
        max_length=ROLE_MAX,
        required=False,
        help_text=gettext_lazy("Such as Communications lead. Without a person the role is taken away."),
    )
    person = PersonField(
        label=gettext_lazy("Person in this role"),
        required=False,
        help_text=gettext_lazy("E-mail address or full name."),
    )
    stakeholder = PersonField(
        label=gettext_lazy("Add a stakeholder"),
        required=False,
        help_text=gettext_lazy("E-mail address or full name. Hears every update."),
    )


class DropStakeholderForm(TicketForm):
    person = forms.UUIDField(widget=forms.HiddenInput)


class ChildrenForm(TicketForm):
    children = forms.CharField(
        label=gettext_lazy("Numbers of incidents"),
        max_length=2000,
        help_text=gettext_lazy("Separated by blanks or commas. All of them become children of this one, or none."),
    )


class ReviewForm(TicketForm):
    """The review, with room for a few actions."""

    places: ClassVar = {"actions": "action_1"}
    went_well = _text(label=gettext_lazy("What went well"))
    went_badly = _text(label=gettext_lazy("What went badly"))
    causes = _text(label=gettext_lazy("Causes"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number in range(1, ACTIONS + 1):
            owner = PersonField(label=gettext_lazy("By whom"), required=False)
            owner.actor = self.actor
            self.fields |= {
                f"action_{number}": forms.CharField(
                    label=gettext_lazy("Action"), max_length=ACTION_MAX, required=False
                ),
                f"owner_{number}": owner,
                f"due_{number}": forms.DateField(
                    label=gettext_lazy("Until"),
                    required=False,
                    widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
                ),
            }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for number in range(1, ACTIONS + 1):
            names = [f"{part}_{number}" for part in ("action", "owner", "due")]
            if any(data.get(name) for name in names):
                for name in names:
                    if not data.get(name) and name not in self.errors:
                        self.add_error(name, gettext_lazy("An action says what, by whom and until when."))
        return data
