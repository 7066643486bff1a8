"""Addresses of the shell. Account pages are global; everything else exists inside a tenant."""

from __future__ import annotations

from allauth.account import views as allauth
from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, include, path, re_path

from itsm.web.accounts import Invitation, Login, PasswordReset
from itsm.web.admin import site
from itsm.web.views import escalation, home, inbox, messages, notifying, profile, queue, sla
from itsm.web.views.acknowledge import acknowledge

_NEW_PASSWORD: list[URLPattern | URLResolver] = [
    path("done/", allauth.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    re_path(
        r"^(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        allauth.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("queue/", queue.queue_page, name="queue"),
    path("queue.csv", queue.queue_file, name="queue-csv"),
    path("queue/layout/", queue.layout, name="queue-layout"),
    path("sla/<number:number>/", sla.clocks_page, name="ticket-clocks"),
    path("escalation/<number:number>/acknowledge/", escalation.acknowledge, name="escalation-acknowledge"),
    path("escalation/<number:number>/start/", escalation.start, name="escalation-start"),
    path("profile/", profile.profile, name="profile"),
    path("profile/notifications/", notifying.preferences, name="notification-preferences"),
    path("notification-defaults/", notifying.defaults, name="notification-defaults"),
    path("message-preview/", messages.message_preview, name="message-preview"),
    path("inbox/", inbox.inbox, name="inbox"),
    path("inbox/read/", inbox.read_all, name="inbox-read-all"),
    path("inbox/<uuid:notification_id>/", inbox.open_notification, name="inbox-open"),
    path("acknowledge/<str:token>/", acknowledge, name="acknowledge"),
    path("oncall/", include("itsm.web.views.oncall")),
    path("tokens/", profile.tokens, name="tokens"),
    path("tokens/<uuid:token_id>/revoke/", profile.revoke, name="token-revoke"),
    # allauth's own names, because its pages lead to each other by them. What is not named here does not exist: signing
    # up, changing the address (an administrator does), signing in by a code in a mail.
    path("accounts/login/", Login.as_view(), name="account_login"),
    path("accounts/logout/", auth.LogoutView.as_view(), name="account_logout"),
    path("accounts/inactive/", allauth.account_inactive, name="account_inactive"),
    path("accounts/reauthenticate/", allauth.reauthenticate, name="account_reauthenticate"),
    path("accounts/password/", allauth.password_change, name="account_change_password"),
    path("accounts/password/set/", allauth.password_set, name="account_set_password"),
    path("accounts/password/reset/", PasswordReset.as_view(), name="account_reset_password"),
    path("accounts/password/reset/done/", allauth.password_reset_done, name="account_reset_password_done"),
    path("accounts/password/reset/key/", include(_NEW_PASSWORD)),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/invitation/<uidb64>/<token>/", Invitation.as_view(), name="invitation"),
    path("admin/", site.urls),
]
