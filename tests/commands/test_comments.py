"""Files that go with a comment: only one's own, only of this ticket, and they share its audience."""

from __future__ import annotations

import io

import pytest

from itsm.events.models import Event
from itsm.kernel.errors import Invalid
from itsm.tickets.commands import attach_file, comment_on_ticket
from itsm.tickets.models import Attachment, Comment
from itsm.tickets.timeline import timeline
from tests.factories import Desk


def test_a_comment_takes_its_files_along(inside: Desk) -> None:
    ticket, agent = inside.incident(), inside.actor("agent")
    file = attach_file(actor=agent, ticket_id=ticket.pk, name="log.txt", content=io.BytesIO(b"lines"), size=5)
    comment = comment_on_ticket(
        actor=agent, ticket_id=ticket.pk, body="See the log", audience="internal", attachment_ids=[file.pk]
    )
    file.refresh_from_db()
    assert (file.comment_id, file.audience) == (comment.pk, "internal")
    event = Event.objects.get(ticket_id=ticket.pk, kind="ticket.commented")
    assert event.payload["attachments"] == [str(file.pk)]
    told = [(entry.text, [one.name for one in entry.files]) for entry in timeline(agent, ticket)]
    assert told == [("opened the incident", []), ("wrote an internal note", ["log.txt"])]
    public = timeline(inside.actor("requester"), ticket)
    assert [entry.text for entry in public] == ["opened the incident"], "the file is the note's now"


@pytest.mark.parametrize("whose", ["another ticket's", "somebody else's"])
def test_other_files_are_refused_and_nothing_is_written(inside: Desk, whose: str) -> None:
    ticket, agent = inside.incident(), inside.actor("agent")
    there = inside.incident() if whose == "another ticket's" else ticket
    owner = agent if whose == "another ticket's" else inside.actor("requester")
    file = attach_file(actor=owner, ticket_id=there.pk, name="log.txt", content=io.BytesIO(b"lines"), size=5)
    before = Event.objects.count()
    with pytest.raises(Invalid, match="attachments must be files"):
        comment_on_ticket(actor=agent, ticket_id=ticket.pk, body="See the log", attachment_ids=[file.pk])
    assert (Event.objects.count(), Comment.objects.count()) == (before, 0)
    assert Attachment.objects.get(pk=file.pk).comment_id is None
