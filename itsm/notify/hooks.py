"""Sending webhooks as Standard Webhooks says: webhook-id, webhook-timestamp, webhook-signature (v1, HMAC-SHA256)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from itsm.events.models import Event
from itsm.events.write import unit_of_work
from itsm.kernel import clock
from itsm.kernel.actor import Actor
from itsm.notify import endpoints, ledger, outward, secret
from itsm.notify.models import Dispatch, Endpoint
from itsm.tenancy.context import tenant

logger = logging.getLogger(__name__)
#: After so many failures in a row an endpoint is switched off, and whoever runs the organisation is told.
FAILURES = 20
_LONGEST_REST = 3600


@dataclass(frozen=True, slots=True)
class Post:
    """A webhook that is ready to be sent."""

    url: str
    body: bytes
    secrets: tuple[str, ...]


def sign(secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The signatures, one for each secret, separated by blanks: during a rotation both are valid."""
    content = f"{webhook_id}.{timestamp}.".encode() + body
    made = []
    for one in secrets:
        key = base64.b64decode(one.removeprefix(secret.PREFIX))
        made.append("v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode())
    return " ".join(made)


def prepare(dispatch: Dispatch) -> Post | None:
    """What shall be sent; None after the ledger was told why not, or not now. Call it inside the tenant."""
    now = clock.now()
    # As it is now: what left just before may have sent it to rest.
    endpoint = Endpoint.objects.filter(pk=str(dispatch.endpoint_id)).first()
    if endpoint is None or not endpoint.is_active:
        ledger.drop(dispatch, "switched_off")
        return None
    if endpoint.resting_until is not None and endpoint.resting_until > now:
        ledger.put_back(dispatch, endpoint.resting_until)
        return None
    event: Event = dispatch.event
    if not endpoints.open_to_all(event):
        ledger.drop(dispatch, "no_right")  # Since it was planned, the ticket went to a restricted team.
        return None
    sealed = [endpoint.secret]
    if endpoint.previous_until is not None and endpoint.previous_until > now:
        sealed.append(endpoint.previous_secret)
    opened = [found for one in sealed if (found := secret.open_sealed(one)) is not None]
    if not opened:
        ledger.fail(dispatch, "The secret cannot be read: rotate it.", "no_secret")
        return None
    return Post(endpoint.url, orjson.dumps(endpoints.body_of(event)), tuple(opened))


def send(tenant_id: UUID, dispatch: Dispatch, post: Post) -> None:
    """Send it and write down what came of it. Outside every transaction; raises nothing."""
    webhook_id, now = f"msg_{dispatch.pk}", clock.now()
    timestamp = int(now.timestamp())
    said, final = "", False
    try:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Viable-Webhooks/1",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(post.secrets, webhook_id, timestamp, post.body),
        }
        answer = outward.post(post.url, post.body, headers)
        if not 200 <= answer.status < 300:
            said = f"HTTP {answer.status}"
            final = answer.status == 410  # Gone: Standard Webhooks asks to stop.
    except outward.NotAllowed as error:
        said = str(error)
    except (OSError, ValueError, binascii.Error) as error:
        said = f"{type(error).__name__}: {error}"
    with tenant(tenant_id):
        if not said:
            _succeeded(dispatch, webhook_id)
        else:
            _failed(dispatch, said, now, final=final)


def _succeeded(dispatch: Dispatch, webhook_id: str) -> None:
    ledger.sent(dispatch, webhook_id)
    Endpoint.objects.filter(pk=str(dispatch.endpoint_id), failures__gt=0).update(failures=0, resting_until=None)


def _failed(dispatch: Dispatch, said: str, now: datetime, *, final: bool) -> None:
    endpoint = Endpoint.objects.select_for_update().filter(pk=str(dispatch.endpoint_id)).first()
    if endpoint is None:
        ledger.drop(dispatch, "switched_off")
        return
    logger.info("a webhook was not taken: %s", said.partition(":")[0], extra={"dispatch_id": str(dispatch.pk)})
    endpoint.failures += 1
    endpoint.resting_until = now + timedelta(seconds=min(5 * 2 ** min(endpoint.failures, 12), _LONGEST_REST))
    endpoint.save(update_fields=["failures", "resting_until"])
    ledger.again(dispatch, said, at=endpoint.resting_until)
    if endpoint.is_active and (final or endpoint.failures >= FAILURES):
        _switch_off(endpoint, said)


def _switch_off(endpoint: Endpoint, said: str) -> None:
    """Stop trying, and let an event say so: it tells the admins (topic ``webhook_disabled``)."""
    with unit_of_work(Actor.system(UUID(str(endpoint.tenant_id)), "webhooks")) as work:
        endpoint.is_active, endpoint.disabled_at = False, work.now
        endpoint.disabled_reason = said.replace("\x00", "")[:300]
        work.changed(endpoint, "is_active", "disabled_at", "disabled_reason")
        work.emit("webhook.disabled", endpoint=endpoint.pk, failures=endpoint.failures)
