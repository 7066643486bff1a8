"""Model admins that save by commands: they pass on what was typed and show what a command refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey, Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from itsm.access.decide import allows, authorize
from itsm.doors.problems import status_of
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, FieldProblem, Forbidden, Invalid, NotFound
from itsm.kernel.ids import is_uuid
from itsm.web.pages import refused
from itsm.web.refusals import problem_text, refusal_text

if TYPE_CHECKING:
    _Form = ModelForm[Any]
    _Admin = admin.ModelAdmin[Any]
else:
    _Form, _Admin = ModelForm, admin.ModelAdmin


class ReferenceSelect(AutocompleteSelect):
    """Stock admin's select box that searches; what is no id is refused by the form and cannot be looked up to be shown."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [one for one in value if is_uuid(str(one))], attr)


class CommandModelForm(_Form):
    """A model form that shows the refusal of the command which ran on its data before."""

    refusal: ClassVar[DomainError | None] = None
    places: ClassVar[dict[str, str]] = {}

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if isinstance(self.refusal, Invalid):
            for problem in self.refusal.problems:
                name = problem.pointer.strip("/").split("/")[0]
                name = self.places.get(name, name)
                self.add_error(name if name in self.fields else None, self.said(problem))
        elif self.refusal is not None:
            self.add_error(None, refusal_text(self.refusal))
        return data

    def said(self, problem: FieldProblem) -> str:
        """A problem with one input, for whoever reads the form."""
        return problem_text(problem)


class CommandAdmin(_Admin):
    """``read``: any of these permissions shows the rows. ``manage`` changes them, if there is a command for it."""

    read: ClassVar[tuple[str, ...]] = ()
    manage: ClassVar[str] = ""
    #: Input name of the command → form field that shows its problems.
    places: ClassVar[dict[str, str]] = {}
    #: Fields that are given once, when the row is made.
    fixed: ClassVar[tuple[str, ...]] = ()
    creates: ClassVar[bool] = True
    form = CommandModelForm
    show_full_result_count = False
    list_per_page = 50

    # --- The commands ------------------------------------------------------------------------------------------------

    def create(self, actor: Actor, data: dict[str, Any]) -> Model:
        """Run the command that makes the row."""
        raise NotImplementedError

    def update(self, actor: Actor, row: Any, data: dict[str, Any]) -> None:
        """Run the command that changes the row; ``data`` has the fields that differ."""
        raise NotImplementedError

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        data = form.cleaned_data
        if not change:
            obj.pk = self.create(request.actor, data).pk
        elif form.changed_data:
            self.update(request.actor, obj, {name: data[name] for name in form.changed_data})

    def changeform_view(
        self, request: Any, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if request.method == "POST":
            authorize(request.actor, self.manage or "settings.manage")
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (Forbidden, NotFound):
            raise
        except DomainError as error:
            # The transaction of the first try is rolled back; the second one only shows the form with what is wrong.
            request.command_refusal = error
            refused(request, error)
            response = super().changeform_view(request, object_id, form_url, extra_context)
            response.status_code = status_of(error)
            return response

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, "command_refusal", None)  # type: ignore[attr-defined]
        form.places = self.places  # type: ignore[attr-defined]
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), *(self.fixed if obj is not None else ()))

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, ValueError) as error:
            # Stock admin compares whatever the address names: the year 10000 is no date, and nobody's page offers it.
            if request.method == "POST":
                raise
            raise Invalid([FieldProblem("", "bad_filter", _("This list cannot be filtered by that value."))]) from error
        except ValidationError as error:
            # Stock admin looks up whatever was sent as the id of a chosen row.
            raise Invalid.one(ACTION_CHECKBOX_NAME, "unknown_reference", error.messages[0]) from error

    # --- Only this tenant's rows, only by right ----------------------------------------------------------------------

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        return super().get_queryset(request).filter(tenant_id=request.actor.tenant_id)

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any], request: Any, **kwargs: Any) -> Any:
        rows = db_field.remote_field.model._default_manager.filter(tenant_id=request.actor.tenant_id)
        kwargs.setdefault("queryset", rows)
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", ReferenceSelect(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return any(allows(request.actor, permission) for permission in (*self.read, *filter(None, [self.manage])))

    def has_add_permission(self, request: Any, obj: Any = None) -> bool:
        return self.creates and bool(self.manage) and allows(request.actor, self.manage)

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return bool(self.manage) and allows(request.actor, self.manage)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # --- Our events are the log --------------------------------------------------------------------------------------

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        return None

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        raise Http404


class ReadOnlyAdmin(CommandAdmin):
    """Rows that are looked at and never typed."""

    creates = False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False


def choice(label: Any, choices: Any, **kwargs: Any) -> forms.ChoiceField:
    """A select box for a model's text field."""
    return forms.ChoiceField(label=label, choices=choices, **kwargs)
