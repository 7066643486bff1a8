"""The way in: which service desk, and where its people are at home."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from itsm.access.actors import tenants_of_user
from itsm.kernel.actor import Actor
from itsm.web.pages import works_the_queue
from itsm.web.places import home_of


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """Inside a tenant the queue or one's own requests; outside, the choice of service desks (none, one or several)."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is not None:
        return redirect("queue" if works_the_queue(actor) else home_of(actor))
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    tenants = tenants_of_user(request.user.pk)
    if len(tenants) == 1 and "choose" not in request.GET:
        return redirect(f"/t/{tenants[0][1]}/")
    return _choice(request, tenants)


def _choice(request: HttpRequest, tenants: list[tuple[UUID, str, str]]) -> HttpResponse:
    desks = [{"name": name, "slug": slug, "url": f"/t/{slug}/"} for _id, slug, name in tenants]
    return render(request, "itsm/desks.html", {"desks": desks, "home": reverse("home")})
