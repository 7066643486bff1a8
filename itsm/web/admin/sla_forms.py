"""Forms of calendars and policies: JSON that a person can read, with refusals that say where in it."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _

from itsm.kernel.errors import FieldProblem
from itsm.sla.commands.calendars import newest_version
from itsm.sla.commands.references import newest_terms
from itsm.sla.models import Metric
from itsm.web.admin.base import CommandModelForm, choice
from itsm.web.refusals import problem_text

_FILE_MAX = 2 * 1024 * 1024


class ReadableJson(forms.JSONField):
    """A JSON object, shown with line breaks."""

    widget = forms.Textarea(attrs={"rows": 18, "cols": 80, "spellcheck": "false", "class": "json"})

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
            # Half of a surrogate pair can be written and not be sent to anybody.
            json.dumps(found, ensure_ascii=False).encode()
        except (RecursionError, ValueError) as error:
            raise ValidationError(_("This is no JSON.")) from error
        if found is not None and not isinstance(found, dict):
            raise ValidationError(_("Write a JSON object: {…}"))
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except (RecursionError, ValueError):
            return InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, InvalidJSONInput) or value is None:
            return value
        text = json.dumps(value, indent=2, ensure_ascii=False)
        try:
            text.encode()
        except UnicodeEncodeError:
            return json.dumps(value, indent=2)
        return text


class _Placed(CommandModelForm):
    def said(self, problem: FieldProblem) -> str:
        """With the place inside the JSON, which the name of the field alone does not tell."""
        _field, _slash, place = problem.pointer.strip("/").partition("/")
        text = problem_text(problem)
        return f"{place}: {text}" if place else text


class HoursForm(forms.Form):
    """Hours that are tried, or that become the next version."""

    hours = ReadableJson(label=_("Hours"))
    labels = ReadableJson(label=_("Names of exceptions"), required=False)
    effective_from = forms.DateField(label=_("From"), required=False)


class CalendarForm(_Placed):
    """A calendar with its newest hours. A file takes the place of what is written."""

    hours = ReadableJson(
        label=_("Hours"),
        required=False,
        help_text=_(
            'Shifts of each day; "always": true is round the clock. A date under exceptions with [] is a day off.'
        ),
    )
    file = forms.FileField(
        label=_("From a file"),
        required=False,
        help_text=_("What “Export” gives. It takes the place of the hours above."),
    )
    labels = ReadableJson(label=_("Names of exceptions"), required=False)
    effective_from = forms.DateField(
        label=_("From"), required=False, help_text=_("The first day of these hours; today when it is empty.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            newest = newest_version(self.instance)
            self.initial.update(hours=newest.hours, labels=newest.labels)

    def clean_file(self) -> Any:
        """The hours in the file; None without one."""
        file = self.cleaned_data.get("file")
        if file is None:
            return None
        if file.size > _FILE_MAX:
            raise ValidationError(_("This file is too large to be a calendar."))
        try:
            return ReadableJson().to_python(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValidationError(_("This is no JSON.")) from error

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if not data.get("file") and not data.get("hours") and "hours" not in self.errors and "file" not in self.errors:
            self.add_error("hours", ValidationError(_("Please fill this in.")))
        return data


class PolicyForm(_Placed):
    """A policy with its newest terms."""

    metric = choice(_("Metric"), Metric.choices)
    terms = ReadableJson(
        label=_("Terms"), help_text=_("Targets from the top: the first whose conditions the ticket meets holds.")
    )
    apply = forms.BooleanField(
        label=_("Also for clocks that are open now"),
        required=False,
        help_text=_("Otherwise it holds for tickets that come or change from now on."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["terms"] = newest_terms([self.instance])[self.instance.pk].terms


class TermsForm(forms.Form):
    """Terms that are tried."""

    terms = ReadableJson(label=_("Terms"))


class HolidayForm(forms.Form):
    """Which holidays to look through."""

    country = forms.CharField(label=_("Country"), max_length=2, help_text=_("Two letters, such as DE."))
    subdivision = forms.CharField(
        label=_("Part of it"), max_length=60, required=False, help_text=_("Such as BY for Bavaria.")
    )
    years = forms.CharField(label=_("Years"), max_length=60, help_text=_("2027, or 2027,2028, or 2027-2029."))
