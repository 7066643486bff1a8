"""The page behind a one-tap link. It stands outside every organisation: the link says itself where it belongs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from itsm.access.actors import actor_of_person, member_of_user
from itsm.kernel.actor import Actor
from itsm.kernel.errors import DomainError, NotFound
from itsm.kernel.trace import note
from itsm.notify import links
from itsm.notify.checks import over
from itsm.notify.commands.inbox import Over, acknowledge_notification
from itsm.notify.inbox import lines_of
from itsm.notify.letters import as_read_by
from itsm.notify.models import Notification
from itsm.notify.topics import TOPICS
from itsm.tenancy.context import tenant
from itsm.tenancy.models import Tenant


@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what it is about and a button; POST acts. A link that cannot be used says why."""
    try:
        link = links.read(token)
    except links.BadLink as error:
        return _page(request, "expired" if error.expired else "unknown")
    if not Tenant.objects.filter(pk=link.tenant_id, is_active=True).exists():
        return _page(request, "unknown")
    note(tenant_id=str(link.tenant_id))
    with tenant(link.tenant_id):
        actor = actor_of_person(link.tenant_id, link.person_id)
        if actor is None:
            return _page(request, "unknown")
        with as_read_by(actor):
            if _is_somebody_else(request, link.tenant_id, actor):
                return _page(request, "foreign")
            if request.method == "POST":
                return _act(request, actor, link)
            return _show(request, actor, link)


def _show(request: HttpRequest, actor: Actor, link: links.Link) -> HttpResponse:
    found = Notification.objects.select_related("event").filter(pk=link.notification_id, person_id=link.person_id)
    notification: Notification | None = found.first()
    topic = TOPICS.get(notification.topic) if notification is not None else None
    if notification is None or topic is None or topic.acknowledge is None:
        return _page(request, "unknown")
    line = lines_of(actor, [notification])[0]
    if line.hidden:
        return _page(request, "unknown")
    if notification.acknowledged_at is not None:
        return _page(request, "used", line=line)
    if reason := over(topic, notification.event, line.ticket):
        return _page(request, reason, line=line)
    return _page(request, "", line=line, reader=actor.name)


def _act(request: HttpRequest, actor: Actor, link: links.Link) -> HttpResponse:
    try:
        notification = acknowledge_notification(actor=actor, notification_id=link.notification_id)
    except NotFound:
        return _page(request, "unknown")
    except Over as error:
        return _page(request, error.code)
    except DomainError as error:
        return _page(request, "refused", detail=error.detail)
    return _page(request, "done", line=lines_of(actor, [notification])[0])


def _is_somebody_else(request: HttpRequest, tenant_id: UUID, actor: Actor) -> bool:
    """Whether a person of this organisation is signed in here whom the link does not belong to."""
    if not request.user.is_authenticated:
        return False
    here = member_of_user(tenant_id, request.user.pk)
    return here is not None and here[0].person_id != actor.person_id


def _page(request: HttpRequest, outcome: str, **context: Any) -> HttpResponse:
    heading, words, status = _words(outcome)
    page = {"outcome": outcome, "heading": heading, "words": words, **context}
    response = render(request, "itsm/acknowledge.html", page, status=status)
    add_never_cache_headers(response)
    return response


def _words(outcome: str) -> tuple[str, str, int]:
    """Heading, explanation and status."""
    return {
        "": (_("Acknowledge"), _("You say that you take care of this. Nobody else is called then."), 200),
        "done": (_("Acknowledged"), _("You have taken this on. Thank you."), 200),
        "expired": (
            _("This link is too old"),
            _("Links in messages work for a day. Sign in and open the ticket to see what is possible now."),
            410,
        ),
        "used": (_("You have used this link already"), _("It works once. What it did holds."), 410),
        "foreign": (
            _("This link is for somebody else"),
            _("You are signed in as another person. Open the link where nobody is signed in, or sign out first."),
            403,
        ),
        "unknown": (
            _("This link does not work"),
            _("It is not complete, or what it belongs to is not there any more. Copy it whole from the message."),
            404,
        ),
        "refused": (_("This is not possible now"), _("Sign in and open the ticket to see what is possible."), 409),
        "acknowledged": (
            _("Somebody was faster"),
            _("This has been acknowledged already. You need not do anything."),
            409,
        ),
    }.get(
        outcome,
        (_("This needs nobody any more"), _("It has ended meanwhile. You need not do anything."), 409),
    )
