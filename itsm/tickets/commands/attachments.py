"""Files on tickets. What a file claims to be is never believed: the type is read from its content, and it is served inert."""

from __future__ import annotations

import re
from typing import IO
from uuid import UUID

import filetype

from itsm.access.decide import authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, NotFound, Problems
from itsm.kernel.ids import new_id
from itsm.kernel.texts import clean_text
from itsm.tenancy.context import tenant
from itsm.tickets.fetch import lock_ticket, refuse_closed
from itsm.tickets.files import digest_of, drop_chunks, keep_chunks
from itsm.tickets.models import Attachment, Audience, DeskSettings

#: Programs and scripts; a desk that must exchange one puts it into an archive.
REFUSED_ENDINGS = frozenset(
    [
        "exe",
        "dll",
        "com",
        "bat",
        "cmd",
        "scr",
        "pif",
        "msi",
        "msp",
        "jar",
        "js",
        "jse",
        "vbs",
        "vbe",
        "wsf",
        "wsh",
        "ps1",
        "psm1",
        "lnk",
        "reg",
        "hta",
        "cpl",
        "svg",
        "html",
        "htm",
        "xhtml",
    ]
)
REFUSED_TYPES = frozenset({"application/x-msdownload", "application/x-executable", "application/x-elf"})
#: Files on one ticket.
ATTACHMENTS_MAX = 100


def attach_file(
    *, actor: Actor, ticket_id: UUID, name: str, content: IO[bytes], size: int, audience: str = Audience.PUBLIC
) -> Attachment:
    """Store a file on a ticket. Raises Invalid for a size or type that the tenant does not take."""
    problems = Problems()
    if audience not in Audience.values:
        problems.add("audience", "unknown_audience", "audience must be public or internal.")
    problems.raise_if_any()
    safe, content_type = refuse_unfit(actor, name=name, content=content, size=size)
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id)
        authorize(actor, "ticket.attach" if audience == Audience.PUBLIC else "ticket.comment_internal", ticket)
        refuse_closed(ticket, "attach")
        if Attachment.objects.filter(ticket_id=ticket.pk).count() >= ATTACHMENTS_MAX:
            raise Invalid.one(
                "file", "too_many", f"A ticket holds at most {ATTACHMENTS_MAX} files.", limit=ATTACHMENTS_MAX
            )
        attachment = Attachment(
            pk=new_id(),
            tenant_id=actor.tenant_id,
            ticket_id=ticket.pk,
            uploaded_by_id=actor.person_id,
            audience=audience,
            name=safe,
            content_type=content_type,
            size=size,
            sha256=digest_of(content),
            created_at=work.now,
        )
        work.add(attachment)
        work.emit(
            "ticket.attached",
            ticket,
            attachment=attachment.pk,
            audience=audience,
            size=size,
            sha256=attachment.sha256,
            texts={"name": safe},
        )
        work.flush()
        keep_chunks(attachment, content)
    return attachment


def refuse_unfit(actor: Actor, *, name: str, content: IO[bytes], size: int) -> tuple[str, str]:
    """The name that the file gets and the type that its content has. Raises Invalid for a file that the tenant does not take.

    Whoever makes a ticket and attaches to it at once asks this first: a refusal afterwards would have cost a number.
    """
    problems = Problems()
    safe = clean_text(problems, "name", _base_name(name), limit=200, required=True, line=True)
    ending = safe.rsplit(".", 1)[-1].lower() if "." in safe else ""
    if ending in REFUSED_ENDINGS:
        problems.add("file", "type_refused", f"Files of type .{ending} are not accepted. Put it into an archive.")
    if size == 0:
        problems.add("file", "empty", "The file is empty.")
    problems.raise_if_any()
    guess = filetype.guess(content.read(8192))
    content.seek(0)
    content_type = guess.mime if guess else "application/octet-stream"
    if content_type in REFUSED_TYPES:
        raise Invalid.one("file", "type_refused", "Programs are not accepted, whatever they are called.")
    with tenant(actor.tenant_id):
        limit = DeskSettings.objects.values_list("attachment_max_bytes", flat=True).first() or 0
    if size > limit:
        raise Invalid.one(
            "file", "too_large", f"The file has {size} bytes; the limit is {limit}.", size=size, limit=limit
        )
    return safe, content_type


def detach_file(*, actor: Actor, ticket_id: UUID, attachment_id: UUID) -> None:
    """Remove a file's content; that it was there, and its name, stay in the timeline. Raises NotFound for an unknown one."""
    with unit_of_work(actor) as work:
        ticket = lock_ticket(actor, ticket_id)
        attachment = Attachment.objects.filter(pk=attachment_id, ticket_id=ticket.pk, removed_at__isnull=True).first()
        if attachment is None:
            raise NotFound
        own = actor.person_id is not None and attachment.uploaded_by_id == actor.person_id
        attach = "ticket.attach" if attachment.audience == Audience.PUBLIC else "ticket.comment_internal"
        authorize(actor, attach if own else "ticket.update", ticket)
        refuse_closed(ticket, "detach")
        attachment.removed_at = work.now
        work.changed(attachment, "removed_at")
        work.emit("ticket.detached", ticket, attachment=attachment.pk)
        drop_chunks([attachment.pk])


def _base_name(name: str) -> str:
    return re.split(r"[\\/]", name)[-1].strip(". ") or "file"
