"""Where webhooks go: made, changed, rotated, switched on again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from itsm.access.decide import authorize
from itsm.events.kinds import KINDS
from itsm.events.write import unit_of_work
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid, Problems
from itsm.kernel.texts import clean_text
from itsm.kernel.unset import UNSET, Unset
from itsm.notify import outward, secret
from itsm.notify.models import Endpoint
from itsm.tenancy.fetch import locked, refuse_taken

#: After a rotation both secrets sign for this long, so that the other side has time to change.
OVERLAP = timedelta(hours=24)
ENDPOINTS_MAX = 20
_KIND = re.compile(r"[a-z_]+\.[a-z_]*")


def create_endpoint(*, actor: Actor, name: str, url: str, kinds: Sequence[str] = ()) -> tuple[Endpoint, str]:
    """Add an endpoint; answers it with its secret, which is shown this once. No ``kinds``: all events of tickets."""
    clean = _checked(name=name, url=url, kinds=kinds)
    with unit_of_work(actor) as work:
        authorize(actor, "notification.manage")
        refuse_taken(Endpoint, actor.tenant_id, "an endpoint", name=clean["name"])
        if Endpoint.objects.filter(tenant_id=actor.tenant_id).count() >= ENDPOINTS_MAX:
            raise Invalid.one("name", "too_many", f"There are {ENDPOINTS_MAX} endpoints already. Change one of them.")
        text = secret.new()
        endpoint = Endpoint(tenant_id=actor.tenant_id, secret=secret.seal(text), created_at=work.now, **clean)
        work.add(endpoint)
        work.emit("webhook.created", endpoint=endpoint.pk, kinds=clean["kinds"])
    return endpoint, text


def update_endpoint(
    *,
    actor: Actor,
    endpoint_id: UUID,
    name: str | Unset = UNSET,
    url: str | Unset = UNSET,
    kinds: Sequence[str] | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> Endpoint:
    """Change an endpoint; what is UNSET stays. Switching it on again forgets its failures."""
    clean = _checked(name=name, url=url, kinds=kinds)
    with unit_of_work(actor) as work:
        authorize(actor, "notification.manage")
        endpoint = locked(Endpoint, actor.tenant_id, endpoint_id)
        if "name" in clean:
            refuse_taken(Endpoint, actor.tenant_id, "an endpoint", but=endpoint.pk, name=clean["name"])
        if active is not UNSET:
            clean["is_active"] = active
            if active and not endpoint.is_active:
                clean |= {"failures": 0, "resting_until": None, "disabled_at": None, "disabled_reason": ""}
        changed = sorted(field for field, value in clean.items() if getattr(endpoint, field) != value)
        for field in changed:
            setattr(endpoint, field, clean[field])
        if changed:
            work.changed(endpoint, *changed)
            work.emit("webhook.changed", endpoint=endpoint.pk, fields=changed)
    return endpoint


def rotate_secret(*, actor: Actor, endpoint_id: UUID) -> tuple[Endpoint, str]:
    """Give an endpoint a new secret, shown this once. For OVERLAP deliveries are signed with the old one as well."""
    with unit_of_work(actor) as work:
        authorize(actor, "notification.manage")
        endpoint = locked(Endpoint, actor.tenant_id, endpoint_id)
        text = secret.new()
        endpoint.previous_secret, endpoint.previous_until = endpoint.secret, work.now + OVERLAP
        endpoint.secret = secret.seal(text)
        work.changed(endpoint, "secret", "previous_secret", "previous_until")
        work.emit("webhook.rotated", endpoint=endpoint.pk, previous_until=endpoint.previous_until)
    return endpoint, text


def _checked(
    *, name: str | Unset = UNSET, url: str | Unset = UNSET, kinds: Sequence[str] | Unset = UNSET
) -> dict[str, Any]:
    problems = Problems()
    clean: dict[str, Any] = {}
    if name is not UNSET:
        clean["name"] = clean_text(problems, "name", name, limit=100, required=True, line=True)
    if url is not UNSET:
        clean["url"] = clean_text(problems, "url", url, limit=2000, required=True, line=True)
        if not problems.found:
            try:
                outward.target(clean["url"])
            except outward.NotAllowed as error:
                problems.add("url", "not_allowed", str(error))
    if kinds is not UNSET:
        clean["kinds"] = sorted(set(kinds))
        for one in clean["kinds"]:
            known = one in KINDS or (one.endswith(".") and any(kind.startswith(one) for kind in KINDS))
            if not _KIND.fullmatch(one) or not known:
                problems.add(
                    "kinds",
                    "unknown_kind",
                    f"{one[:60]} is no kind of event. Write one such as incident.opened, or incident.",
                )
    problems.raise_if_any()
    return clean
