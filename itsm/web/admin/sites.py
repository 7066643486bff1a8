"""The admin of one tenant: entered by right, without superusers, without a log of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from itsm.access.decide import allows, authorize
from itsm.escalation import audit
from itsm.sla.audit import alarming

#: Views of stock admin that would let somebody in, or show objects, past our own doors.
_DROPPED = frozenset({"login", "logout", "password_change", "password_change_done", "view_on_site"})


class TenantAdminSite(admin.AdminSite):
    """Whoever may read the settings enters; each model asks the permission table again."""

    site_header = _("Configuration")
    site_title = _("Configuration")
    index_title = _("Configuration")
    index_template = "itsm/admin/index.html"
    site_url = reverse_lazy("home")  # type: ignore[assignment]
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        actor = getattr(request, "actor", None)
        return actor is not None and allows(actor, "settings.read")

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """No redirect to a login of the admin's own: outside a tenant there is no such page, inside the right decides."""

        def inner(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if getattr(request, "actor", None) is None:
                raise Http404
            authorize(request.actor, "settings.read")
            response: HttpResponseBase = view(request, *args, **kwargs)
            return response

        guarded: Callable[..., Any] = inner if cacheable else never_cache(inner)
        return update_wrapper(csrf_protect(guarded), view)

    def index(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        """With an alarm when clocks should have fired, or escalations should have gone on, and have not."""
        late: dict[str, Any] = {}
        if allows(request.actor, "sla.read"):
            late = {"late_clocks": alarming(request.actor), "late_runs": audit.alarming(request.actor)}
        return super().index(request, {**(extra_context or {}), **late})

    def get_urls(self) -> list[Any]:
        return [entry for entry in super().get_urls() if getattr(entry, "name", None) not in _DROPPED]


site = TenantAdminSite(name="tenant-admin")
site.disable_action("delete_selected")
