"""Replies and internal notes, with @mentions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from itsm.access.actors import actor_of_person
from itsm.access.decide import allows, visible_to
from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import BODY_MAX, clean_text
from itsm.tenancy.models import Person
from itsm.tickets.fetch import lock_ticket, refuse_closed
from itsm.tickets.models import Attachment, Audience, Comment, Ticket, Watcher

#: "@ann" or "@ann@acme.example", not the middle of an e-mail address.
_MENTION = re.compile(r"(?<![\w@.])@([\w.+-]+(?:@[\w-]+(?:\.[\w-]+)+)?)")
_MAX_MENTIONS = 20


def comment_on_ticket(
    *,
    actor: Actor,
    ticket_id: UUID,
    body: str,
    audience: str = Audience.PUBLIC,
    attachment_ids: Sequence[UUID] = (),
    expected_version: int | None = None,
    cause: Event | None = None,
) -> Comment:
    """Write a public reply or an internal note. Mentioned people who may read it become watchers.

    ``attachment_ids`` are files that the actor has put on the ticket before; they get the comment's audience. A comment
    answers somebody and overwrites nothing, so ``expected_version`` may be None. Refuses on closed tickets.
    """
    problems = Problems()
    text = clean_text(problems, "body", body, limit=BODY_MAX, required=True)
    if audience not in Audience.values:
        problems.add("audience", "unknown_audience", "audience must be public or internal.")
    problems.raise_if_any()
    permission = "ticket.comment" if audience == Audience.PUBLIC else "ticket.comment_internal"
    with unit_of_work(actor, cause=cause) as work:
        ticket = lock_ticket(actor, ticket_id, permission=permission, expected_version=expected_version)
        refuse_closed(ticket, "comment")
        work.guard("ticket.comment", ticket, {"audience": audience})
        comment = Comment(
            tenant_id=actor.tenant_id,
            ticket_id=ticket.pk,
            author_id=actor.person_id,
            audience=audience,
            body=text,
            created_at=work.now,
        )
        files = _own_files(actor, ticket, attachment_ids)
        mentioned = _mentioned(actor, ticket, text, internal=audience == Audience.INTERNAL)
        watch = set(mentioned)
        if mentioned:
            watch -= set(Watcher.objects.filter(ticket_id=ticket.pk).values_list("person_id", flat=True))
        work.add(comment, *(Watcher(tenant_id=actor.tenant_id, ticket_id=ticket.pk, person_id=p) for p in watch))
        for file in files:
            file.comment_id, file.audience = comment.pk, audience
            work.changed(file, "comment", "audience")
        work.emit(
            "ticket.commented",
            ticket,
            comment=comment.pk,
            audience=audience,
            attachments=[file.pk for file in files],
            mentions=mentioned,
            texts={"body": text},
        )
    return comment


def _own_files(actor: Actor, ticket: Ticket, ids: Sequence[UUID]) -> list[Attachment]:
    """The actor's own files on this ticket that no comment has taken yet. Raises Invalid when one of ``ids`` is none."""
    files = list(
        Attachment.objects.filter(
            pk__in=ids,
            ticket_id=ticket.pk,
            uploaded_by_id=actor.person_id,
            comment__isnull=True,
            removed_at__isnull=True,
        )
    )
    if len(files) != len(set(ids)):
        raise Invalid.one("attachments", "unknown_reference", "attachments must be files that you put on this ticket.")
    return files


def _mentioned(actor: Actor, ticket: Ticket, text: str, *, internal: bool) -> list[UUID]:
    """People named in the text who may see the ticket (and notes, for a note), also those who watch it already."""
    found: list[UUID] = []
    for name in dict.fromkeys(match.lower().rstrip(".-") for match in _MENTION.findall(text)[:_MAX_MENTIONS]):
        people = Person.objects.filter(tenant_id=actor.tenant_id, is_active=True)
        if "@" in name:
            people = people.filter(email_key=name)
        else:
            # "ann" means the one address that starts with "ann@"; a range may use the index under row-level security.
            people = people.filter(email_key__gte=f"{name}@", email_key__lt=f"{name}A")
        matches = list(people.values_list("pk", flat=True)[:2])
        if len(matches) != 1:
            continue
        other = actor_of_person(actor.tenant_id, matches[0])
        if other is None or (internal and not allows(other, "ticket.read_internal", ticket)):
            continue
        if not visible_to(other, Ticket.objects.filter(pk=ticket.pk)).exists():
            continue
        if matches[0] not in found:
            found.append(matches[0])
    return found
