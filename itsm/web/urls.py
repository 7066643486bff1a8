"""Addresses of the shell. Account pages are global; everything else exists inside a tenant."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, path

from itsm.web.accounts import Invitation, Login, PasswordChange
from itsm.web.admin import site
from itsm.web.views import home, profile, queue

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("queue/", queue.queue_page, name="queue"),
    path("profile/", profile.profile, name="profile"),
    path("tokens/", profile.tokens, name="tokens"),
    path("tokens/<uuid:token_id>/revoke/", profile.revoke, name="token-revoke"),
    path("accounts/login/", Login.as_view(), name="login"),
    path("accounts/logout/", auth.LogoutView.as_view(), name="logout"),
    path("accounts/invitation/<uidb64>/<token>/", Invitation.as_view(), name="invitation"),
    path("admin/", site.urls),
    path("accounts/password/", PasswordChange.as_view(), name="password_change"),
]
