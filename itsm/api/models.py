"""What the API remembers of its own: answers that a repeated request gets again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from itsm.kernel.clock import now
from itsm.tenancy.fields import TenantModel


class IdempotencyKey(TenantModel):
    """A POST that succeeded under a client's Idempotency-Key, with its answer; kept 48 hours.

    ``caller_id`` is the token, or the person for a browser; ``digest`` covers method, path and body; ``rights`` covers
    what the caller was allowed then (empty: kept before rights were).
    """

    caller_id = models.UUIDField()
    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32)
    rights = models.BinaryField(max_length=32, default=b"", db_default=b"")
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "caller_id", "key"], name="idempotency_key_once")
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "created_at"], name="idempotency_key_age")]
