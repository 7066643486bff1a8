"""Taking a file away: who may, and that a refusal leaves it where it is."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest

from itsm.kernel.actor import ActorKind
from itsm.kernel.errors import Forbidden
from itsm.tickets.commands import attach_file, detach_file
from itsm.tickets.models import Attachment, AttachmentChunk
from tests.factories import Desk


@pytest.mark.parametrize("scopes", [{"incidents:read"}, {"events:read", "incidents:read", "directory:read"}])
def test_a_token_that_only_reads_removes_nothing(inside: Desk, scopes: set[str]) -> None:
    ticket = inside.incident()
    requester = inside.actor("requester")
    file = attach_file(actor=requester, ticket_id=ticket.pk, name="a.txt", content=BytesIO(b"x"), size=1)
    reader = replace(requester, kind=ActorKind.TOKEN, scopes=frozenset(scopes))
    with pytest.raises(Forbidden) as refused:
        detach_file(actor=reader, ticket_id=ticket.pk, attachment_id=file.pk)
    assert refused.value.permission == "ticket.attach"
    assert Attachment.objects.get(pk=file.pk).removed_at is None
    assert AttachmentChunk.objects.filter(attachment_id=file.pk).exists()
    detach_file(actor=requester, ticket_id=ticket.pk, attachment_id=file.pk)
    assert Attachment.objects.get(pk=file.pk).removed_at is not None
