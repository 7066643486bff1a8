"""Refusals as pages: what happened, why, and what to do now."""

from __future__ import annotations

import logging
import sys
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from itsm.doors.problems import BUSY, RETRY_AFTER, is_outage, problem_response, status_of
from itsm.kernel.errors import DomainError, Invalid, NotFound
from itsm.web.context import layout
from itsm.web.forms import problem_text
from itsm.web.pages import patch_part

logger = logging.getLogger(__name__)


def error_page(request: HttpRequest, error: DomainError | None, *, status: int | None = None) -> HttpResponse:
    """The page for a refusal (or for a plain status). Marks the request, so that the door records the refusal."""
    if error is not None:
        request.refusal = error  # type: ignore[attr-defined]
    code = status or (status_of(error) if error else 500)
    heading, remedy = _words(code)
    detail = error.detail if error is not None and not isinstance(error, NotFound) else ""
    problems = [(p.pointer.strip("/"), problem_text(p)) for p in error.problems] if isinstance(error, Invalid) else []
    page = {
        "heading": heading,
        "remedy": remedy,
        "detail": "" if problems else detail,
        "problems": problems,
        "code": code,
    }
    response = render(request, "itsm/error.html", page, status=code)
    patch_part(request, response)
    return response


def _words(status: int) -> tuple[str, str]:
    return {
        400: (_("This request cannot be read"), _("Go back, correct what is named here, and send it again.")),
        403: (_("You may not do this"), _("Ask your administrator for the right if you need it.")),
        404: (
            _("There is no such page"),
            _("It does not exist, or you may not see it. Check the address, or start from the home page."),
        ),
        405: (_("This address takes no such request"), _("Start from the home page.")),
        409: (_("This is not possible now"), _("Open the ticket again to see what is possible.")),
        412: (_("Somebody changed this meanwhile"), _("Open it again and repeat your change.")),
        413: (_("This is too large"), _("Send a smaller file.")),
        429: (
            _("This was too fast"),
            _("Nothing was saved. Wait a minute, go back and send it again; what you typed is still there."),
        ),
        503: (
            _("The service is busy"),
            _("What you sent may not have been saved. Wait a moment, look whether it was, and try again."),
        ),
    }.get(
        status,
        (
            _("Something went wrong") if status >= 500 else _("Not possible"),
            _("It has been recorded. Try again; if it happens again, tell your administrator the request id below."),
        ),
    )


def _answer(request: HttpRequest, status: int, code: str) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return problem_response(request, status, code, HTTPStatus(status).phrase)
    return error_page(request, None, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: what Django itself refuses (oversize body, broken encoding, disallowed host)."""
    return _answer(request, 400, "bad_request")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    return _answer(request, 403, "forbidden")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404."""
    return _answer(request, 404, "not_found")


def broken(request: HttpRequest) -> HttpResponse:
    """handler500: whatever was not foreseen, in a view or in a middleware; 503 when the database was lost or too slow.

    Django calls this while it handles the exception, so that a lost database is told apart here, once for all doors:
    looking up the tenant, the session and the actor, and the views.
    """
    error = sys.exc_info()[1]
    if is_outage(error):
        logger.warning("the database was lost or did not answer in time: %s", type(error).__name__)
        return busy(request)
    if request.path_info.startswith("/api/"):
        return problem_response(request, 500, "internal_error", HTTPStatus(500).phrase)
    return _bare_page(request, 500)


def busy(request: HttpRequest) -> HttpResponse:
    """503 with Retry-After, as a problem or as a page; asks the database for nothing."""
    is_api = request.path_info.startswith("/api/")
    response = problem_response(request, 503, "busy", BUSY) if is_api else _bare_page(request, 503)
    response["Retry-After"] = str(RETRY_AFTER)
    response["Cache-Control"] = "no-store"
    return response


def _bare_page(request: HttpRequest, status: int) -> HttpResponse:
    """A page without the context of the others (who is signed in, messages): that could fail again."""
    heading, remedy = _words(status)
    page = {"heading": heading, "remedy": remedy, "code": status, "request": request, "layout": layout(request)}
    return HttpResponse(render_to_string("itsm/error.html", page), status=status)


def csrf_refused(request: HttpRequest, reason: str = "", **_kwargs: Any) -> HttpResponse:
    """CSRF_FAILURE_VIEW: an expired page, or a form from elsewhere."""
    page = {
        "heading": _("This form has expired"),
        "remedy": _("Go back, reload the page and send it again. What you typed is still there after going back."),
        "code": 403,
    }
    return render(request, "itsm/error.html", page, status=403)
