"""What a person is told and when, and what everybody is told who has not decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any
from uuid import UUID

from django.db.models import Q

from itsm.access.decide import authorize
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.unset import UNSET, Unset
from itsm.notify.models import Channel, Digest, Preference
from itsm.notify.topics import TOPICS

#: What a person switches on and off; webhooks belong to the organisation.
CHANNELS = (Channel.INBOX.value, Channel.EMAIL.value)
_TIMES = ("quiet_start", "quiet_end", "digest_at")


def update_preferences(
    *,
    actor: Actor,
    tenant_wide: bool = False,
    topics: Mapping[str, Mapping[str, bool]] | Unset = UNSET,
    quiet_start: time | None | Unset = UNSET,
    quiet_end: time | None | Unset = UNSET,
    pages_in_quiet: bool | Unset = UNSET,
    digest: str | Unset = UNSET,
    digest_at: time | Unset = UNSET,
) -> Preference:
    """Change one's own preferences, or with ``tenant_wide`` the defaults of the organisation; what is UNSET stays.

    ``topics`` is {topic: {channel: bool}} and is merged into what was said before. Quiet hours are both times or none.
    """
    given: dict[str, Any] = {
        name: value
        for name, value in (
            ("topics", topics),
            ("quiet_start", quiet_start),
            ("quiet_end", quiet_end),
            ("pages_in_quiet", pages_in_quiet),
            ("digest", digest),
            ("digest_at", digest_at),
        )
        if value is not UNSET
    }
    _check(given)
    with unit_of_work(actor) as work:
        authorize(actor, "notification.manage" if tenant_wide else "notification.update")
        person_id = None if tenant_wide else actor.person_id
        if person_id is None and not tenant_wide:
            raise Invalid.one("person", "required", "Only a person has preferences.")
        row, is_new = _row(actor.tenant_id, person_id)
        if "topics" in given:
            given["topics"] = _merged(row.topics, given["topics"])
        changed = sorted(name for name, value in given.items() if getattr(row, name) != value)
        for name in changed:
            setattr(row, name, given[name])
        _refuse_half_quiet(row)
        if not changed:
            return row
        if is_new:
            work.add(row)
        else:
            work.changed(row, *changed)
        work.emit("notification.preferences_changed", fields=changed, person=person_id)
    return row


def _row(tenant_id: UUID, person_id: UUID | None) -> tuple[Preference, bool]:
    """The locked row; a new one for a person begins with the tenant's times, so that saving one field changes no other."""
    rows = {row.person_id: row for row in Preference.objects.select_for_update().filter(_of(person_id))}
    if person_id in rows:
        return rows[person_id], False
    row = Preference(tenant_id=tenant_id, person_id=person_id)
    common = Preference.objects.filter(person__isnull=True).first() if person_id is not None else None
    if common is not None:
        for name in (*_TIMES, "pages_in_quiet", "digest"):
            setattr(row, name, getattr(common, name))
    return row, True


def _of(person_id: UUID | None) -> Q:
    return Q(person__isnull=True) if person_id is None else Q(person_id=person_id)


def _check(given: Mapping[str, Any]) -> None:
    problems = Problems()
    for topic, switches in given.get("topics", {}).items():
        if topic not in TOPICS:
            problems.add("topics", "unknown_topic", f"{str(topic)[:60]} is not one of {', '.join(sorted(TOPICS))}.")
            continue
        for channel, value in switches.items():
            if channel not in CHANNELS:
                problems.add("topics", "unknown_channel", f"{topic}: channels are {', '.join(CHANNELS)}.")
            elif not isinstance(value, bool):
                problems.add("topics", "not_a_switch", f"{topic}: {channel} is true or false.")
    if "digest" in given and given["digest"] not in Digest.values:
        problems.add("digest", "unknown_value", f"digest must be one of {', '.join(Digest.values)}.")
    if "digest_at" in given and given["digest_at"] is None:
        problems.add("digest_at", "required", "digest_at must be a time of day such as 08:00.")
    problems.raise_if_any()


def _refuse_half_quiet(row: Preference) -> None:
    problems = Problems()
    if (row.quiet_start is None) != (row.quiet_end is None):
        missing = "quiet_end" if row.quiet_end is None else "quiet_start"
        problems.add(missing, "required", "Quiet hours have a beginning and an end, or neither.")
    elif row.quiet_start is not None and row.quiet_start == row.quiet_end:
        problems.add("quiet_end", "same_time", "Quiet hours must end at another time than they begin.")
    problems.raise_if_any()


def _merged(before: Mapping[str, Any], given: Mapping[str, Mapping[str, bool]]) -> dict[str, dict[str, bool]]:
    merged = {topic: dict(switches) for topic, switches in before.items()}
    for topic, switches in given.items():
        merged.setdefault(topic, {}).update(switches)
    return merged
