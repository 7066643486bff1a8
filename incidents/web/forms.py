"""The forms of an incident: one per verb, shape only."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents.commands.closing import RESOLUTION_CODES
from incidents.flow import KIND
from incidents.models import CloseCode, HoldReason
from itsm.access.decide import allows
from itsm.kernel.actor import Actor
from itsm.kernel.texts import BODY_MAX, TITLE_MAX
from itsm.tickets.models import Audience, LinkKind, Ticket
from itsm.web.choices import Choices
from itsm.web.forms import CommandForm, NumberField, PersonField, PlainForm, TicketForm

__all__ = ["PlainForm"]

LEVELS = [("1", gettext_lazy("1 – High")), ("2", gettext_lazy("2 – Medium")), ("3", gettext_lazy("3 – Low"))]


def _text(rows: int = 4, **kwargs: Any) -> forms.CharField:
    return forms.CharField(widget=forms.Textarea(attrs={"rows": rows}), max_length=BODY_MAX, **kwargs)


def _id(label: Any, **kwargs: Any) -> forms.TypedChoiceField:
    """A choice among ids; cleans to a UUID or None. The choices are set when the form is made."""
    return forms.TypedChoiceField(label=label, coerce=UUID, empty_value=None, required=False, **kwargs)


class HoldForm(TicketForm):
    hold_reason = forms.ChoiceField(label=gettext_lazy("Reason"), choices=HoldReason.choices)
    comment = _text(
        label=gettext_lazy("Message to the requester"),
        required=False,
        help_text=gettext_lazy("Needed when you wait for the requester, whose reply resumes the work."),
    )


class ResolveForm(TicketForm):
    close_code = forms.ChoiceField(
        label=gettext_lazy("Resolution code"),
        choices=[("", "—"), *((c, CloseCode(c).label) for c in RESOLUTION_CODES)],
    )
    close_notes = _text(label=gettext_lazy("Resolution notes"), help_text=gettext_lazy("The requester reads this."))


class ReasonForm(TicketForm):
    reason = _text(rows=3, label=gettext_lazy("Reason"))


class MergeForm(TicketForm):
    places: ClassVar = {"into": "number"}
    number = NumberField(
        label=gettext_lazy("Duplicate of"),
        help_text=gettext_lazy("The number of the incident that goes on. This one is closed and points to it."),
    )


class ParentForm(TicketForm):
    places: ClassVar = {"parent": "number"}
    number = NumberField(
        label=gettext_lazy("Parent incident"),
        required=False,
        help_text=gettext_lazy("This incident then follows its parent. Empty: independent."),
    )


class LinkForm(TicketForm):
    places: ClassVar = {"target": "number"}
    kind = forms.ChoiceField(label=gettext_lazy("Link"), choices=LinkKind.choices)
    number = NumberField(label=gettext_lazy("Number"))


class UnlinkForm(TicketForm):
    link = forms.UUIDField(widget=forms.HiddenInput)


class WatcherForm(TicketForm):
    person = PersonField(label=gettext_lazy("Person"), help_text=gettext_lazy("E-mail address or full name."))


class UnwatchForm(TicketForm):
    person = forms.UUIDField(widget=forms.HiddenInput, required=False)


class DetachForm(TicketForm):
    file = forms.UUIDField(widget=forms.HiddenInput)


class FollowUpForm(TicketForm):
    description = _text(label=gettext_lazy("What happens now"))


class CommentForm(TicketForm):
    """A reply or an internal note, with or without a file; or a file alone."""

    places: ClassVar = {"name": "file"}
    audience = forms.ChoiceField(
        label=gettext_lazy("Who reads it"),
        choices=[
            (Audience.PUBLIC.value, gettext_lazy("Reply: the requester reads it")),
            (Audience.INTERNAL.value, gettext_lazy("Internal note: the desk only")),
        ],
        widget=forms.RadioSelect,
        initial=Audience.PUBLIC,
    )
    body = _text(
        rows=5,
        label=gettext_lazy("Message"),
        required=False,
        help_text=gettext_lazy("Markdown works. @name lets somebody follow."),
    )
    file = forms.FileField(label=gettext_lazy("File"), required=False)

    def __init__(self, *args: Any, ticket: Ticket | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = {"ticket": ticket}
        if not allows(self.actor, "ticket.comment_internal", ticket):
            # A requester has no notes: no choice is shown, and whatever is sent means a reply.
            self.fields["audience"] = forms.ChoiceField(
                choices=[(Audience.PUBLIC.value, "")], initial=Audience.PUBLIC, widget=forms.HiddenInput
            )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not data.get("body") and not data.get("file") and "file" not in self.errors:
            self.add_error("body", _("Write something, or choose a file."))
        return data


class AssignForm(TicketForm):
    team = _id(gettext_lazy("Team"), show_hidden_initial=True)
    assignee = _id(gettext_lazy("Assignee"), show_hidden_initial=True)

    def __init__(self, *args: Any, choices: Choices, ticket: Ticket, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = {"choices": choices, "ticket": ticket}
        self.offer("team", choices.teams(ticket.team_id))
        self.offer("assignee", choices.agents(ticket.assignee_id))


class EditForm(TicketForm):
    """The side fields. Only what the user changed is sent on, so that two people may edit different fields."""

    title = forms.CharField(label=gettext_lazy("Title"), max_length=TITLE_MAX, show_hidden_initial=True)
    description = _text(label=gettext_lazy("Description"), required=False, show_hidden_initial=True)
    impact = forms.TypedChoiceField(label=gettext_lazy("Impact"), choices=LEVELS, coerce=int, show_hidden_initial=True)
    urgency = forms.TypedChoiceField(
        label=gettext_lazy("Urgency"), choices=LEVELS, coerce=int, show_hidden_initial=True
    )
    service = _id(gettext_lazy("Service"), show_hidden_initial=True)
    category = _id(gettext_lazy("Category"), show_hidden_initial=True)
    requester = PersonField(
        label=gettext_lazy("Requester"),
        required=False,
        show_hidden_initial=True,
        help_text=gettext_lazy("E-mail address or full name."),
    )

    def __init__(self, *args: Any, choices: Choices, ticket: Ticket, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = {"choices": choices, "ticket": ticket}
        self.fields["requester"].required = ticket.requester_id is not None
        self.offer("service", choices.services(ticket.service_id))
        self.offer("category", choices.categories(ticket.category_id))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "requester" in self.errors and "requester" not in self.changed_data:
            # Somebody who has left, or a namesake: no reason to refuse a change of something else.
            del self.errors["requester"]
            data["requester"] = None
        return data

    @staticmethod
    def current(ticket: Ticket) -> dict[str, Any]:
        """The fields as the ticket has them now, as the form shows them."""
        requester = ticket.requester
        return {
            "title": ticket.title,
            "description": ticket.description,
            "impact": str(ticket.impact),
            "urgency": str(ticket.urgency),
            "service": str(ticket.service_id or ""),
            "category": str(ticket.category_id or ""),
            "requester": (requester.email_key or requester.name) if requester else "",
        }


class NewForm(CommandForm):
    """A new incident. Who may log for others may also say for whom, and where it goes."""

    title = forms.CharField(
        label=gettext_lazy("What is wrong?"),
        max_length=TITLE_MAX,
        help_text=gettext_lazy("One line, such as: Cannot print on the second floor."),
        widget=forms.TextInput(attrs={"autofocus": True}),
    )
    description = _text(
        rows=7,
        label=gettext_lazy("Details"),
        required=False,
        help_text=gettext_lazy("Since when, what you tried, what the screen says."),
    )
    impact = forms.TypedChoiceField(
        label=gettext_lazy("Impact"),
        choices=LEVELS,
        coerce=int,
        initial="3",
        help_text=gettext_lazy("How many people or how much of the business it stops."),
    )
    urgency = forms.TypedChoiceField(
        label=gettext_lazy("Urgency"),
        choices=LEVELS,
        coerce=int,
        initial="3",
        help_text=gettext_lazy("How soon it hurts."),
    )
    service = _id(gettext_lazy("Service"))
    category = _id(gettext_lazy("Category"))
    requester = PersonField(
        label=gettext_lazy("For whom"),
        required=False,
        help_text=gettext_lazy("E-mail address or full name. Empty: for yourself."),
    )
    team = _id(gettext_lazy("Team"))
    assignee = _id(gettext_lazy("Assignee"))
    file = forms.FileField(label=gettext_lazy("File"), required=False)
    places: ClassVar = {"name": "file"}

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, actor=actor, **kwargs)
        choices = Choices(actor)
        self.offer("service", choices.services())
        self.offer("category", choices.categories())
        if not allows(actor, "incident.create_for_others", process=KIND):
            for name in ("requester", "team", "assignee"):
                del self.fields[name]
            return
        self.offer("team", choices.teams())
        self.offer("assignee", choices.agents())
