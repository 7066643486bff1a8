"""Where the bytes of a file are: in chunks beside its row at first, in the storage as soon as the relay came by.

The storage may be on the other side of a network, and cannot be rolled back. So nothing inside a transaction touches it:
a request writes chunks, which commit or vanish with everything else it does, and a consumer moves and removes files.
"""

from __future__ import annotations

import hashlib
import tempfile
from typing import IO, cast
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db.models import QuerySet

from itsm.access.decide import allows
from itsm.events.models import Event
from itsm.kernel.actor import Actor
from itsm.tenancy.context import tenant
from itsm.tickets.models import Attachment, AttachmentChunk, Audience, Ticket

_CHUNK = 1 << 20
#: A file up to this many bytes is read back into memory, a larger one into a temporary file.
_IN_MEMORY = 1 << 20


def digest_of(content: IO[bytes]) -> str:
    """SHA-256 of the whole content, in hex; leaves it at its start."""
    found = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        found.update(chunk)
    content.seek(0)
    return found.hexdigest()


def keep_chunks(attachment: Attachment, content: IO[bytes]) -> None:
    """Write the content beside the attachment's row, in the transaction in force."""
    position = 0
    while chunk := content.read(_CHUNK):
        AttachmentChunk(
            tenant_id=attachment.tenant_id, attachment_id=attachment.pk, position=position, content=chunk
        ).save(force_insert=True)
        position += 1


def drop_chunks(attachment_ids: list[UUID]) -> None:
    """Forget content that has not moved to the storage."""
    AttachmentChunk.objects.filter(attachment_id__in=attachment_ids).delete()


def read_chunks(attachment: Attachment) -> IO[bytes] | None:
    """The content as it lies beside the row, ready to be read; None when it is not (or no longer) there."""
    chunks: QuerySet[AttachmentChunk] = AttachmentChunk.objects.filter(attachment_id=attachment.pk)
    content = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - whoever reads it closes it
    for chunk in chunks.order_by("position").values_list("content", flat=True).iterator(chunk_size=4):
        content.write(chunk)
    if content.tell() == 0:
        content.close()
        return None
    content.seek(0)
    return content


def readable_files(actor: Actor, ticket: Ticket) -> QuerySet[Attachment]:
    """The files of a ticket that the actor may read; internal ones do not exist for who reads no notes."""
    files: QuerySet[Attachment] = Attachment.objects.filter(
        tenant_id=actor.tenant_id, ticket_id=ticket.pk, removed_at__isnull=True
    )
    return files if allows(actor, "ticket.read_internal", ticket) else files.filter(audience=Audience.PUBLIC)


class StoredContent:
    """The bytes of a file in the storage, which is asked for them when the request's transaction is over."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._file: IO[bytes] | None = None

    def open(self) -> None:
        """Ask the storage. Raises FileNotFoundError when it has lost the file."""
        self._file = default_storage.open(self._key)

    def read(self, size: int = -1) -> bytes:
        if self._file is None:
            raise ValueError("open it first")
        return self._file.read(size)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def content_of(attachment: Attachment) -> IO[bytes] | StoredContent | None:
    """The content, wherever it is; None when it is nowhere. From the storage it still has to be opened."""
    return StoredContent(attachment.storage_key) if attachment.storage_key else read_chunks(attachment)


def settle_file(event: Event) -> None:
    """Consumer, outside every transaction: move a new file into the storage, and remove those that were removed.

    Idempotent: a file has one name there, and a second try begins by deleting what a first one left.
    """
    tenant_id, ticket_id = cast(UUID, event.tenant_id), cast(UUID, event.ticket_id)
    with tenant(tenant_id):
        files = Attachment.objects.filter(ticket_id=ticket_id)
        if attached := event.payload.get("attachment"):
            files = files.filter(pk=attached)
        gone = list(files.filter(removed_at__isnull=False).exclude(storage_key=""))
        new = list(files.filter(removed_at__isnull=True, storage_key="")) if attached else []
    for attachment in new:
        if _move(tenant_id, attachment):
            gone.append(attachment)
    for attachment in gone:
        default_storage.delete(attachment.storage_key)
        with tenant(tenant_id):
            Attachment.objects.filter(pk=attachment.pk).update(storage_key="")


def _move(tenant_id: UUID, attachment: Attachment) -> bool:
    """Put the content into the storage. True when the file was removed meanwhile, and must go there too."""
    with tenant(tenant_id):
        content = read_chunks(attachment)
    if content is None:
        return False
    # The stored name is ours alone: nothing that a user typed reaches the file system.
    name = f"tenants/{tenant_id}/{attachment.pk}"
    default_storage.delete(name)
    with content:
        stored = default_storage.save(name, File(content))
    with tenant(tenant_id):
        row = Attachment.objects.select_for_update().get(pk=attachment.pk)
        row.storage_key = attachment.storage_key = stored
        row.save(update_fields=["storage_key"])
        drop_chunks([row.pk])
    return row.removed_at is not None
