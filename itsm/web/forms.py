"""Forms check shape only; the command behind each one holds the rules, and its refusals come back beside the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy

from itsm.access.decide import visible_to
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, Invalid
from itsm.tenancy.models import Person
from itsm.tickets.models import Ticket
from itsm.web.refusals import problem_text, refusal_text

_MAX_VERSION = 2**31 - 1


class CommandForm(forms.Form):
    """A form in front of one command. ``places`` says which field shows the problems of another input name."""

    places: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.actor = actor
        for field in self.fields.values():
            if isinstance(field, PersonField | NumberField):
                field.actor = actor

    def offer(self, name: str, pairs: Sequence[tuple[str, Any]], empty: Any = "—") -> None:
        """Let a select box offer these rows, after one that means none."""
        field = cast(forms.ChoiceField, self.fields[name])
        field.choices = [("", empty), *pairs]

    def refuse(self, error: DomainError) -> None:
        """Show a refusal: each problem beside its field, everything else above the form."""
        if not isinstance(error, Invalid):
            self.add_error(None, refusal_text(error))
            return
        for problem in error.problems:
            name = problem.pointer.strip("/").split("/")[0]
            name = self.places.get(name, name)
            self.add_error(name if name in self.fields else None, problem_text(problem))


class TicketForm(CommandForm):
    """A form that acts on a ticket as its reader saw it: at this version, after this event."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=_MAX_VERSION)
    seen = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=_MAX_VERSION, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What the constructor of a subclass was given besides, for the same form once more.
        self.given: dict[str, Any] = {}

    def caught_up(self, ticket: Ticket, current: dict[str, Any]) -> TicketForm:
        """The same form for the ticket as it is now: what was typed stays, what was not touched follows the ticket.

        Without this, sending the form again would undo other people's changes to fields that this user never touched.
        """
        data = cast(QueryDict, self.data).copy()
        changed = set(self.changed_data)
        for name, value in current.items():
            if self.fields[name].show_hidden_initial:
                data[f"initial-{name}"] = value
                if name not in changed:
                    data[name] = value
        data["version"], data["seen"] = str(ticket.version), str(ticket.last_sequence)
        return type(self)(data, self.files, actor=self.actor, auto_id=self.auto_id, **self.given)


class PlainForm(TicketForm):
    """A verb that asks nothing."""


class PersonField(forms.CharField):
    """A person by e-mail address or by full name. Cleans to the Person; a list of thousands would help nobody."""

    default_error_messages: ClassVar = {
        "unknown": gettext_lazy("Nobody here has this name or address."),
        "several": gettext_lazy("Several people have this name. Write the e-mail address."),
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 254)
        super().__init__(**kwargs)
        #: Set by the form.
        self.actor: Actor | None = None

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        if self.actor is None:
            raise ValueError("PersonField.actor is not set")
        people = Person.objects.filter(tenant_id=self.actor.tenant_id, is_active=True)
        found = list(people.filter(email_key=text.lower())[:2] if "@" in text else people.filter(name=text)[:2])
        if len(found) != 1:
            code = "several" if found else "unknown"
            raise forms.ValidationError(self.error_messages[code], code=code)
        return found[0]


class NumberField(forms.CharField):
    """A ticket by its human number. Cleans to the id; an invisible ticket is as unknown as one that does not exist."""

    default_error_messages: ClassVar = {"unknown": gettext_lazy("There is no such ticket, or you may not see it.")}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 40)
        super().__init__(**kwargs)
        #: Set by the form.
        self.actor: Actor | None = None

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        found = visible_to(self.actor, Ticket.objects.filter(number=text.upper())).first() if self.actor else None
        if found is None:
            raise forms.ValidationError(self.error_messages["unknown"], code="unknown")
        return found.pk
