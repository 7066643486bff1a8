"""Signing in and out, by Django's own views."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class LoginForm(AuthenticationForm):
    """E-mail address and password. Addresses are stored in small letters."""

    username = forms.EmailField(
        label=gettext_lazy("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )
    error_messages = {  # noqa: RUF012 - Django's own way to replace them
        **AuthenticationForm.error_messages,
        "invalid_login": gettext_lazy("Address or password is not right. Mind capital letters in the password."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).lower()


class Login(views.LoginView):
    """``next`` is followed inside this site only."""

    template_name = "itsm/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True


class Invitation(views.PasswordResetConfirmView):
    """Choosing the first password, by the link that an administrator hands over. The link works once, for some days."""

    template_name = "itsm/invitation.html"
    success_url = "/"
    post_reset_login = True
    post_reset_login_backend = "django.contrib.auth.backends.ModelBackend"


class PasswordChange(views.PasswordChangeView):
    """One's own password; other sessions end."""

    template_name = "itsm/password.html"
    success_url = "/"

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, _("Your password is changed."))
        return super().form_valid(form)
