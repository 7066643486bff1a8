"""Signing secrets of webhook endpoints: made here, kept encrypted, shown once."""

from __future__ import annotations

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

#: The prefix that Standard Webhooks gives secrets, so that libraries and leak scanners know them.
PREFIX = "whsec_"


def new() -> str:
    """A fresh secret in the form that libraries of Standard Webhooks take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def seal(secret: str) -> str:
    """The secret as it is stored."""
    return _cipher().encrypt(secret.encode()).decode()


def open_sealed(stored: str) -> str | None:
    """The secret again; None when it was sealed under a SECRET_KEY that is gone."""
    try:
        return _cipher().decrypt(stored.encode()).decode()
    except InvalidToken:
        return None


def _cipher() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = (hashlib.sha256(b"webhook secret:" + str(key).encode()).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
