"""Files on their way out: served inert, as a download and never as a page of ours."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse

from itsm.kernel.errors import NotFound
from itsm.tickets.files import content_of
from itsm.tickets.models import Attachment


def download_of(found: Attachment) -> FileResponse:
    """The file's content, inert; TenantMiddleware opens what lies in the storage. Raises NotFound when it is nowhere."""
    content = content_of(found)
    if content is None:
        raise NotFound
    return inert(content, found.name, found.size)


def inert(content: Any, name: str, size: int) -> FileResponse:
    """A download that no browser renders or runs, whatever the file holds."""
    response = FileResponse(content, as_attachment=True, filename=name, content_type="application/octet-stream")
    response["Content-Length"] = str(size)
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, no-store"
    return response
