"""Refusals as pages: what happened, why, and what to do now."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from itsm.doors.problems import BUSY, RETRY_AFTER, SENTENCES, is_outage, problem_response, status_of
from itsm.doors.sizes import TooLarge
from itsm.kernel.errors import DomainError, Invalid, NotFound
from itsm.web.context import layout
from itsm.web.pages import patch_part
from itsm.web.refusals import problem_text, refusal_text

logger = logging.getLogger(__name__)
#: With the tenant's prefix as it came, or without it, once the door has taken it off.
_API_PATH = re.compile(r"\A(/t/[^/]*)?/api/")


def error_page(request: HttpRequest, error: DomainError | None, *, status: int | None = None) -> HttpResponse:
    """The page for a refusal (or for a plain status). Marks the request, so that the door records the refusal."""
    if error is not None:
        request.refusal = error  # type: ignore[attr-defined]
    code = status or (status_of(error) if error else 500)
    heading, remedy = _words(code)
    detail = refusal_text(error) if error is not None and not isinstance(error, NotFound) else ""
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
        413: (
            _("This is too large"),
            _("Nothing was saved. Go back, send a smaller file or less text; put long texts into a file."),
        ),
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
    if _is_api(request):
        return problem_response(request, status, code, SENTENCES[status])
    return error_page(request, None, status=status)


def _is_api(request: HttpRequest) -> bool:
    """Whether a program asked: it gets a problem, where people get a page."""
    return _API_PATH.match(request.path_info) is not None


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400: what Django itself refuses (broken encoding, disallowed host); 413 for more form than it reads."""
    if isinstance(exception, RequestDataTooBig):
        return _answer(request, 413, "too_large")
    return _answer(request, 400, "bad_request")


def too_large(request: HttpRequest, error: TooLarge) -> HttpResponse:
    """413 before anything else has looked at the request: a problem, or a page in the browser's language."""
    if _is_api(request):
        return problem_response(request, 413, error.code, error.detail)
    with translation.override(translation.get_language_from_request(request)):
        return _bare_page(request, 413)


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
    if _is_api(request):
        return problem_response(request, 500, "internal_error", SENTENCES[500])
    return _bare_page(request, 500)


def busy(request: HttpRequest) -> HttpResponse:
    """503 with Retry-After, as a problem or as a page; asks the database for nothing."""
    response = problem_response(request, 503, "busy", BUSY) if _is_api(request) else _bare_page(request, 503)
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
