"""What the pages of a tenant share: a request that has an actor, and who is at home where."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, cast

from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from itsm.access.actors import Preferences
from itsm.access.catalogue import Reach
from itsm.access.decide import reach
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.tenancy.models import Tenant

P = ParamSpec("P")


class TenantRequest(HttpRequest):
    """A request behind the tenant's door: it has passed TenantMiddleware and knows who acts."""

    actor: Actor
    preferences: Preferences
    tenant: Tenant
    request_id: str
    refusal: DomainError


def tenant_page(
    view: Callable[Concatenate[TenantRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Mark a view that exists inside a tenant only: outside, its address is unknown."""

    def inside(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if getattr(request, "actor", None) is None:
            raise Http404
        return view(cast(TenantRequest, request), *args, **kwargs)

    update_wrapper(inside, view)

    return inside


def works_the_queue(actor: Actor) -> bool:
    """Whether the actor reads other people's tickets, and is therefore at home in the queue."""
    return reach(actor, "ticket.read") is Reach.ALL


def wants_part(request: HttpRequest) -> bool:
    """Whether the script asks for a piece to put into the page, and not for a whole page. Answers differ: see patch_part."""
    return request.headers.get("HX-Request-Type") == "partial"


def patch_part(request: HttpRequest, response: HttpResponseBase) -> None:
    """Keep caches from giving a piece to whoever asks for the page, or the other way round."""
    patch_vary_headers(response, ("HX-Request-Type",))
    if wants_part(request):
        response["Cache-Control"] = "no-store"


def refused(request: Any, error: DomainError) -> None:
    """Have the door record this refusal, for views that show it beside the form instead of raising it."""
    request.refusal = error
