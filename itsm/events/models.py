"""The one log: events, the texts beside them, the outbox, deliveries, and the sealed feed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.fields.json import JSONField

from itsm.kernel.clock import now
from itsm.tenancy.fields import APPEND_ONLY, TenantForeignKey, TenantModel


class Event(TenantModel):
    """Something that happened. Timeline, audit trail and message to consumers at once; never updated, never deleted.

    ``payload`` holds ids, codes and digests only. ``digest`` covers the content and the digest of the ticket's previous
    event; events of no ticket (configuration, refusals) start a chain each and are chained by the seals.
    """

    tenancy_rights = APPEND_ONLY
    append_only = True

    ticket = TenantForeignKey("tickets.Ticket", null=True)
    #: 1, 2, 3 … within the ticket; 0 for events of no ticket.
    sequence = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField(default=1)
    actor_kind = models.CharField(max_length=8)
    #: The person who acted (for a token: its maker). Null for the system.
    actor_id = models.UUIDField(null=True)
    #: The system job or the token's id.
    actor_label = models.CharField(max_length=64, blank=True)
    cause_id = models.UUIDField(null=True)
    depth = models.PositiveSmallIntegerField(default=0)
    request_id = models.CharField(max_length=64, blank=True)
    payload = JSONField(default=dict)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    previous_digest = models.BinaryField(max_length=32, null=True)
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "ticket", "sequence"], name="event_sequence", condition=Q(ticket__isnull=False)
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "kind", "occurred_at"], name="event_by_kind")]


class EventText(TenantModel):
    """Free text or personal data of an event. May be removed (erasure, retention); its salted digest stays in the event."""

    tenancy_rights = ("SELECT", "INSERT", "DELETE")

    event = TenantForeignKey(Event)
    field = models.CharField(max_length=40)
    text = models.TextField()
    salt = models.BinaryField(max_length=16)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "event", "field"], name="event_text_field")]


class Outbox(TenantModel):
    """An event that the relay has not sealed and handed out yet. ``entry`` grows per ticket in the order of its events."""

    platform_columns = ("tenant_id", "created_at")

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    event = TenantForeignKey(Event)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "event"], name="outbox_event")]


class DeliveryStatus(models.TextChoices):
    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


class Delivery(TenantModel):
    """One event for one consumer. Only the consumer's success makes it done; a dead one waits for a person."""

    platform_columns = ("tenant_id", "status", "available_at")

    event = TenantForeignKey(Event)
    consumer = models.CharField(max_length=64)
    status = models.CharField(max_length=8, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    available_at = models.DateTimeField(default=now)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "event", "consumer"], name="delivery_once")]
        indexes: ClassVar = [
            models.Index(fields=["available_at"], name="delivery_due", condition=Q(status="pending")),
            models.Index(fields=["tenant", "available_at"], name="delivery_due_tenant", condition=Q(status="pending")),
            models.Index(fields=["tenant", "available_at"], name="delivery_dead_tenant", condition=Q(status="dead")),
            models.Index(fields=["tenant", "finished_at"], name="delivery_done_tenant", condition=Q(status="done")),
        ]


class FeedHead(TenantModel):
    """The end of a tenant's feed. Its row lock is what makes the sealer single."""

    position = models.BigIntegerField(default=0)
    batch = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32, null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant"], name="feed_head_single")]


class FeedEntry(TenantModel):
    """The position of an event in its tenant's feed: 1, 2, 3 … without gaps, in the order of sealing."""

    tenancy_rights = APPEND_ONLY
    append_only = True

    position = models.BigIntegerField()
    event = TenantForeignKey(Event)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "position"], name="feed_entry_position"),
            models.UniqueConstraint(fields=["tenant", "event"], name="feed_entry_event"),
        ]


class Seal(TenantModel):
    """A batch of consecutive feed positions, chained: its digest covers the previous seal and all events of the batch."""

    tenancy_rights = APPEND_ONLY
    append_only = True

    batch = models.BigIntegerField()
    first_position = models.BigIntegerField()
    last_position = models.BigIntegerField()
    previous_digest = models.BinaryField(max_length=32, null=True)
    digest = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "batch"], name="seal_batch")]
