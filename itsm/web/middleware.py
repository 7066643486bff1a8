"""The door of every tenant request: which tenant, which actor, one transaction, no trace of a request that failed."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import DataError, IntegrityError, transaction
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import get_script_prefix, set_script_prefix
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from itsm.access import limits
from itsm.access.actors import actor_of_token, member_of_user, tenant_of_token
from itsm.doors.problems import problem_response
from itsm.doors.sizes import UPLOAD_MAX_BYTES, TooLarge, refuse_oversize
from itsm.events.write import record_refusal
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError
from itsm.kernel.ids import new_id
from itsm.kernel.trace import note, traced
from itsm.oncall.feeds import actor_of_feed
from itsm.tenancy.context import tenant
from itsm.tenancy.lookup import active_tenant
from itsm.tenancy.models import Tenant
from itsm.tickets.files import StoredContent
from itsm.web.errors import error_page, too_large
from itsm.web.language import language_of

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]

#: /t/<slug>/rest: works on localhost and behind any proxy. A tenant with a host of its own needs no prefix.
_PREFIX = re.compile(r"\A/t/([a-z0-9-]{1,40})(/.*)?\Z", re.DOTALL)
#: Signing in must be possible before anybody is inside, on a tenant's own host as well.
_GLOBAL = ("/accounts/", "/healthz/", "/metrics", "/acknowledge/")
#: What the database refuses: text that it cannot store, two who made the same thing. (An outage is handler500's.)
_DATABASE = {DataError: 400, IntegrityError: 409}
#: Sign-in forms are small, and anybody may send them.
ACCOUNT_MAX_BYTES = 64 * 1024
#: Calendar programs send neither cookie nor header: the address itself says who asks.
_FEED = re.compile(r"\A/oncall/feeds/([A-Za-z0-9_-]{1,100})\.ics\Z")
_REQUEST_ID = re.compile(r"\A[A-Za-z0-9._-]{8,64}\Z")


class RequestIdMiddleware:
    """Gives each request an id (the client's X-Request-ID when it is a sane one) and sends it back."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        offered = request.headers.get("X-Request-ID", "")
        request.request_id = offered if _REQUEST_ID.match(offered) else str(new_id())  # type: ignore[attr-defined]
        with traced(request_id=request.request_id):  # type: ignore[attr-defined]
            response = self.get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class BodySizeMiddleware:
    """413 before anything reads the body: CSRF protection alone would take in a whole upload of a stranger's.

    Stands inside what adds the security headers, which this answer has like every other.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            refuse_oversize(
                request, ACCOUNT_MAX_BYTES if request.path_info.startswith("/accounts/") else UPLOAD_MAX_BYTES
            )
        except TooLarge as error:
            return too_large(request, error)
        return self.get_response(request)


class TenantMiddleware:
    """Finds the tenant and the actor, and runs the request inside one transaction of that tenant.

    The tenant comes from the path prefix, the host, or the token; never from a body or a header of the client's choice.
    A response of 400 or more rolls everything back; if it was a refusal worth recording, that is written afterwards,
    in a transaction of its own.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.actor = None  # type: ignore[attr-defined]
        request.tenant = None  # type: ignore[attr-defined]
        before = get_script_prefix()
        try:
            found, named = self._find_tenant(request)
            if found is None and not named:
                return self.get_response(request)
            response = self._inside(request, found)
        finally:
            # The prefix belongs to the thread: left behind, it would lead the next request's links into this tenant.
            set_script_prefix(before)
        patch_vary_headers(response, ("Authorization", "Cookie"))
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A refusal that a web view did not handle becomes a page; the API translates its own."""
        if isinstance(exception, DomainError):
            return error_page(request, exception)
        status = next((code for kind, code in _DATABASE.items() if isinstance(exception, kind)), None)
        if status is None:
            return None
        logger.warning("the database refused a page's statement", exc_info=exception)
        return error_page(request, None, status=status)

    def _find_tenant(self, request: HttpRequest) -> tuple[Tenant | None, bool]:
        """The tenant, and whether the request named one at all (a wrong name is not the same as none)."""
        if match := _PREFIX.match(request.path_info):
            slug, rest = match.groups()
            prefix = f"/t/{slug}"
            request.path_info = rest or "/"
            request.META["SCRIPT_NAME"] = prefix
            set_script_prefix(f"{prefix}/")
            return active_tenant("slug", slug), True
        if request.path_info.startswith(_GLOBAL):
            return None, False
        host = request.get_host().rsplit(":", 1)[0].lower()
        if host not in settings.GLOBAL_HOSTS and (own := active_tenant("host", host)):
            return own, True
        if request.path_info.startswith("/api/") and (secret := bearer(request)):
            return tenant_of_token(secret), True
        return None, False

    def _inside(self, request: HttpRequest, found: Tenant | None) -> HttpResponseBase:
        is_api = request.path_info.startswith("/api/")
        if found is None:
            return self._no_entry(request, is_api)
        request.tenant = found  # type: ignore[attr-defined]
        note(tenant=found.slug, tenant_id=str(found.pk))
        with tenant(found.pk):
            actor = self._actor(request, found)
            if actor is None:
                return self._no_entry(request, is_api)
            actor = replace(actor, request_id=request.request_id)  # type: ignore[attr-defined]
            request.actor = actor  # type: ignore[attr-defined]
            note(actor_id=str(actor.person_id))
            with translation.override(language_of(request, actor)), _zone(actor):
                response = self._refuse_haste(request, actor) or self.get_response(request)
            if response.status_code >= 400:
                transaction.set_rollback(True)
            # A file asks the database nothing, and a slow reader must not keep a transaction open.
            if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
                response.streaming_content = _stream_inside(found, response.streaming_content)
        if isinstance(response, FileResponse):
            response = self._opened(request, response, is_api)
        refusal: DomainError | None = getattr(request, "refusal", None)
        if refusal is not None and response.status_code >= 400:
            record_refusal(
                actor, refusal, f"{request.method} {request.resolver_match.route if request.resolver_match else ''}"
            )
        return response

    def _refuse_haste(self, request: HttpRequest, actor: Actor) -> HttpResponse | None:
        """429 for whoever sends forms faster than a hand can; the API has limits of its own."""
        if request.method != "POST" or request.path_info.startswith("/api/"):
            return None
        limit = limits.Limit("person", f"{actor.tenant_id}:{actor.person_id}", *settings.WEB_RATE_LIMIT)
        try:
            limits.refuse_spent(limits.take(limit))
        except limits.TooManyRequests as error:
            response = error_page(request, None, status=429)
            response["Retry-After"] = str(error.wait)
            return response
        return None

    def _opened(self, request: HttpRequest, response: FileResponse, is_api: bool) -> HttpResponseBase:
        """A file from the storage is opened here, where no transaction waits for the network. 404 for one that is lost."""
        content = getattr(response, "file_to_stream", None)
        if isinstance(content, StoredContent):
            try:
                content.open()
            except FileNotFoundError:
                logger.exception("a file is missing from the storage")
                if is_api:
                    return problem_response(
                        request, 404, "not_found", "There is no such object, or you may not see it."
                    )
                return error_page(request, None, status=404)
        return response

    def _actor(self, request: HttpRequest, found: Tenant) -> Actor | None:
        if request.path_info.startswith("/api/") and "Authorization" in request.headers:
            secret = bearer(request)
            return actor_of_token(found.pk, secret) if secret else None
        if feed := _FEED.match(request.path_info):
            return actor_of_feed(found.pk, feed[1])
        if not request.user.is_authenticated:
            return None
        member = member_of_user(found.pk, request.user.pk)
        if member is None:
            return None
        actor, request.preferences = member  # type: ignore[attr-defined]
        return actor

    def _no_entry(self, request: HttpRequest, is_api: bool) -> HttpResponseBase:
        """Unknown tenant, no membership, no login: whoever is outside learns only whether he is signed in."""
        known = request.user.is_authenticated and "Authorization" not in request.headers
        if is_api:
            if known:
                return problem_response(
                    request, 404, "not_found", "There is no such service desk, or you are not in it."
                )
            response = problem_response(
                request, 401, "not_authenticated", "Send a valid token: Authorization: Bearer vbl_…"
            )
            response["WWW-Authenticate"] = 'Bearer realm="viable"'
            return response
        if not known and not _FEED.match(request.path_info):
            return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
        return error_page(request, None, status=404)


def bearer(request: HttpRequest) -> str | None:
    """The secret of an ``Authorization: Bearer`` header, or None."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    return secret if scheme.lower() == "bearer" and secret.isascii() and 0 < len(secret) <= 200 else None


def _zone(actor: Actor) -> timezone.override:
    try:
        return timezone.override(ZoneInfo(actor.time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        return timezone.override(ZoneInfo("UTC"))


def _stream_inside(found: Tenant, content: Any) -> Iterator[Any]:
    """A streamed body is produced after the request's transaction has ended: it needs the tenant again."""
    with tenant(found.pk):
        yield from content
