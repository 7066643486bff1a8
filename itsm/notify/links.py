"""One-tap links: signed, ending by themselves, bound to one notification and so to one person and one subject.

The signature is the key: whoever holds the mail may acknowledge, without signing in, and may do nothing else. Reading the
link does nothing (a mail scanner reads all links); only sending the form behind it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core import signing

from itsm.kernel.ids import is_uuid
from itsm.notify.addresses import path
from itsm.notify.models import Notification

_SALT = "itsm.notify.acknowledge"
LIFE = timedelta(hours=24)


class BadLink(Exception):
    """The link cannot be used; ``expired`` tells a link of ours that is too old from what never was one."""

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__()
        self.expired = expired


@dataclass(frozen=True, slots=True)
class Link:
    """What a link leads to."""

    tenant_id: UUID
    notification_id: UUID
    person_id: UUID


def sign(notification: Notification) -> str:
    """The secret part of the link."""
    parts = (notification.tenant_id, notification.pk, notification.person_id)
    return signing.dumps([str(part) for part in parts], salt=_SALT)


def acknowledge_address(notification: Notification) -> str:
    """The whole link. It needs no tenant in its path: it says itself which one."""
    return settings.PUBLIC_URL.rstrip("/") + path("acknowledge", sign(notification))


def read(token: str) -> Link:
    """What a link of ours leads to. Raises BadLink."""
    try:
        parts = signing.loads(token, salt=_SALT, max_age=LIFE, fallback_keys=settings.SECRET_KEY_FALLBACKS)
    except signing.SignatureExpired:
        raise BadLink(expired=True) from None
    except (signing.BadSignature, ValueError):
        raise BadLink from None
    if not (isinstance(parts, list) and len(parts) == 3 and all(isinstance(p, str) and is_uuid(p) for p in parts)):
        raise BadLink
    return Link(*(UUID(part) for part in parts))
