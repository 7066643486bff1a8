"""Routes of the API."""

from __future__ import annotations

from django.urls import URLPattern, path

from itsm.api.views import clocks, escalation, files, on_tickets
from itsm.api.views.base import ApiView


def route(address: str, view: type[ApiView], name: str) -> list[URLPattern]:
    """The view at ``address``, which ends with a slash, and at the same address without it (no redirect loses a body)."""
    return [
        path(address, view.as_view(), name=f"api-{name}"),
        path(address.removesuffix("/"), view.as_view(), name=f"api-{name}-bare"),
    ]


def ticket_routes(plural: str, kind: str) -> list[URLPattern]:
    """What hangs on every ticket, below ``/<plural>/<id or number>/``."""
    return [
        pattern
        for address, view in (
            ("comments", on_tickets.CommentsView),
            ("watchers", on_tickets.WatchersView),
            ("watch", on_tickets.WatchView),
            ("unwatch", on_tickets.UnwatchView),
            ("links", on_tickets.LinksView),
            ("links/<str:link>", on_tickets.LinkView),
            ("timeline", on_tickets.TimelineView),
            ("clocks", clocks.ClocksView),
            ("escalations", escalation.EscalationsView),
            ("escalations/acknowledge", escalation.AcknowledgeView),
            ("attachments", files.AttachmentsView),
            ("attachments/<str:file>", files.AttachmentView),
            ("attachments/<str:file>/content", files.ContentView),
        )
        for pattern in route(
            f"{plural}/<str:key>/{address}/",
            on_tickets.described(view, plural, kind),
            f"{kind}-{'-'.join(part for part in address.split('/') if '<' not in part)}{'-one' if '<' in address else ''}",
        )
    ]
