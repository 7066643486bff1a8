"""What one was told: the page behind the bell."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from itsm.access.decide import authorize, visible_to
from itsm.kernel.ids import is_uuid
from itsm.notify import inbox as selectors
from itsm.notify.commands.inbox import read_all_notifications, read_notification
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Ticket
from itsm.web.pages import TenantRequest, tenant_page

PAGE = 50


@tenant_page
@require_safe
def inbox(request: TenantRequest) -> HttpResponse:
    """One's notifications, newest first; ``unread`` shows those alone, ``after`` goes on."""
    authorize(request.actor, "notification.read")
    after = request.GET.get("after", "")
    unread = "unread" in request.GET
    found = selectors.newest(
        request.actor, after=UUID(after) if is_uuid(after) else None, limit=PAGE + 1, unread=True if unread else None
    )
    more = len(found) > PAGE
    lines = selectors.lines_of(request.actor, found[:PAGE])
    context = {"lines": lines, "unread_only": unread, "next": lines[-1].id if more else None, "later": bool(after)}
    return render(request, "itsm/inbox.html", context)


@tenant_page
@require_POST
def open_notification(request: TenantRequest, notification_id: UUID) -> HttpResponseBase:
    """Mark it as read and go to its ticket; ``stay`` comes back to the list."""
    found = read_notification(actor=request.actor, notification_id=notification_id)
    if "stay" in request.POST or found.ticket_id is None:
        return redirect("inbox")
    ticket: Ticket | None = visible_to(request.actor, Ticket.objects.filter(pk=found.ticket_id)).first()
    kind = KINDS.get(ticket.kind) if ticket is not None else None
    if ticket is None or kind is None:
        messages.info(request, _("You may no longer see this ticket."))
        return redirect("inbox")
    return redirect(kind.page, ticket.number)


@tenant_page
@require_POST
def read_all(request: TenantRequest) -> HttpResponseBase:
    """Mark all as read."""
    count = read_all_notifications(actor=request.actor)
    done = ngettext("%(count)s notification marked as read.", "%(count)s notifications marked as read.", count)
    messages.success(request, done % {"count": count})
    return redirect("inbox")
