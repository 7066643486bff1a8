"""Signing in and out, passwords and the second step: allauth's flows with our words, our limits and no signing up."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
from smtplib import SMTPException
from typing import Any

from allauth.account import views as allauth
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import LoginForm as BaseLoginForm
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

logger = logging.getLogger(__name__)
#: These say what the page that follows says anyway.
_UNSAID = ("account/messages/logged_in.txt", "account/messages/logged_out.txt", "account/messages/password_changed.txt")


def mail_leaves() -> bool:
    """Whether a link to a new password can be sent at all."""
    return bool(settings.EMAIL_HOST)


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up: people are invited. The same words whether an account exists or not."""

    error_messages = {  # noqa: RUF012 - allauth's own way to replace them
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": gettext_lazy(
            "Address or password is not right. Mind capital letters in the password."
        ),
        "too_many_login_attempts": gettext_lazy("Too many attempts. Wait five minutes, then try again."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Whether a way back is one of this site: a path, and one that can be read as an address at all."""
        try:
            return bool(url) and str(url).startswith("/") and bool(super().is_safe_url(url))
        except ValueError:  # half an IPv6 address
            return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The client's address; one word for all where the server does not know it, rather than refusing everybody."""
        return str(super().get_client_ip(request)) if request.META.get("REMOTE_ADDR") else "unknown"

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        if message_template not in _UNSAID:
            super().add_message(request, level, message_template, *args, **kwargs)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        messages.success(request, _("Your password is changed."))
        return "/"

    def format_email_subject(self, subject: str) -> str:
        return f"[Viable] {subject}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail server that fails must not tell a stranger that there was somebody to write to."""
        try:
            super().send_mail(template_prefix, email, context)
        except (SMTPException, OSError) as error:
            logger.error("a mail could not be sent: %s", error)


class SecondStepAdapter(DefaultMFAAdapter):
    """Secrets lie encrypted in the database: a copy of it alone is not enough to make codes."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The secret; a fresh one that no code fits when it was written under a key that is gone."""
        try:
            return _cipher().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            logger.error("a second step cannot be read: SECRET_KEY is another one than when it was set up")
            return base64.b32encode(secrets.token_bytes(20)).decode()

    def build_totp_svg(self, url: str) -> str:
        """The picture without its XML declaration, to stand inside a page."""
        drawn: str = super().build_totp_svg(url)
        return drawn.partition("?>")[2].strip()


def _cipher() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = (hashlib.sha256(b"second step:" + str(key).encode()).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


class LoginForm(BaseLoginForm):
    """E-mail address and password. Addresses are stored in small letters."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        login, password = self.fields["login"], self.fields["password"]
        login.label, password.label = gettext_lazy("E-mail address"), gettext_lazy("Password")
        login.widget.attrs = {"type": "email", "autofocus": True, "autocomplete": "username", "maxlength": "254"}
        password.widget.attrs.pop("placeholder", None)
        password.help_text = ""


class Login(allauth.LoginView):
    """``next`` is followed inside this site only."""

    extra_context = {"mail_leaves": mail_leaves}  # noqa: RUF012 - Django's own way

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        if form.has_error("__all__", "too_many_login_attempts"):
            response.status_code = 429
        return response


class PasswordReset(allauth.PasswordResetView):
    """A link to a new password by mail; there is no such page where no mail leaves."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not mail_leaves():
            raise Http404
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response


class Invitation(views.PasswordResetConfirmView):
    """Choosing the first password, by the link that an administrator hands over. The link works once, for some days."""

    template_name = "itsm/invitation.html"
    success_url = "/"
    post_reset_login = True
    post_reset_login_backend = "itsm.web.signed_in.Backend"
