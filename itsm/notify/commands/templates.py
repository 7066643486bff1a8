"""The organisation's own words for messages."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from itsm.access.decide import authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Problems
from itsm.kernel.texts import clean_text
from itsm.notify import placeholders, wording
from itsm.notify.letters import SUBJECT_MAX
from itsm.notify.models import MessageTemplate
from itsm.tenancy.fetch import locked

TEXT_MAX = 10_000


def check_template(*, key: str, language: str, subject: str, text: str) -> wording.Words:
    """The words as they would be stored. Raises Invalid naming each field, and each placeholder that there is not."""
    problems = Problems()
    known = wording.known_keys()
    if key not in known:
        problems.add("key", "unknown_key", f"key must be one of {', '.join(known)}.")
    if language not in dict(settings.LANGUAGES):
        problems.add("language", "unknown_language", f"language must be one of {', '.join(dict(settings.LANGUAGES))}.")
    clean_subject = clean_text(problems, "subject", subject, limit=SUBJECT_MAX, required=True, line=True)
    clean = clean_text(problems, "text", text, limit=TEXT_MAX, required=True)
    placeholders.check(problems, "subject", clean_subject)
    placeholders.check(problems, "text", clean)
    problems.raise_if_any()
    return wording.Words(clean_subject, clean)


def set_template(*, actor: Actor, key: str, language: str, subject: str, text: str) -> MessageTemplate:
    """Put one's own words in place of the product's, for one message in one language."""
    words = check_template(key=key, language=language, subject=subject, text=text)
    with unit_of_work(actor) as work:
        authorize(actor, "notification.manage")
        rows = MessageTemplate.objects.select_for_update().filter(key=key, language=language)
        row: MessageTemplate | None = rows.first()
        if row is not None and (row.subject, row.text) == (words.subject, words.text):
            return row
        fields = {"subject": words.subject, "text": words.text, "updated_at": work.now}
        if row is None:
            row = MessageTemplate(tenant_id=actor.tenant_id, key=key, language=language, **fields)
            work.add(row)
        else:
            for name, value in fields.items():
                setattr(row, name, value)
            work.changed(row, *fields)
        work.emit("template.changed", template=key, language=language)
    return row


def remove_template(*, actor: Actor, template_id: UUID) -> None:
    """Go back to the product's words."""
    with unit_of_work(actor) as work:
        authorize(actor, "notification.manage")
        row = locked(MessageTemplate, actor.tenant_id, template_id)
        row.delete()
        work.emit("template.removed", template=row.key, language=row.language)
