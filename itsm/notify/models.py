"""Who was told what, and how: the notification, its ledger of dispatches, and what people and tenants want."""

from __future__ import annotations

from datetime import time
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.tenancy.fields import TenantForeignKey, TenantModel
from itsm.tenancy.models import Person


class Urgency(models.TextChoices):
    """``page`` may pass quiet hours and is never late; ``digest`` always waits for the next digest."""

    PAGE = "page", _("Page")
    NORMAL = "normal", _("Normal")
    DIGEST = "digest", _("In the digest")


class Notification(TenantModel):
    """One person is told of one event, for one reason (``topic``). Twice the same event is once.

    ``in_inbox`` says whether it stands in the person's inbox, which is this row; every other way has a Dispatch.
    """

    person = TenantForeignKey(Person)
    event = TenantForeignKey("events.Event")
    ticket = TenantForeignKey("tickets.Ticket", null=True)
    topic = models.CharField(max_length=60)
    urgency = models.CharField(max_length=8, choices=Urgency.choices)
    in_inbox = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now)
    read_at = models.DateTimeField(null=True)
    #: When its acknowledge link was used.
    acknowledged_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "event", "person"], name="notification_once"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "person"],
                name="notification_unread",
                condition=Q(in_inbox=True, read_at__isnull=True),
            ),
            models.Index(
                fields=["tenant", "person", "-created_at", "-id"],
                name="notification_inbox",
                condition=Q(in_inbox=True),
            ),
            models.Index(fields=["tenant", "created_at"], name="notification_age"),
        ]


class Channel(models.TextChoices):
    INBOX = "inbox", _("Inbox")
    EMAIL = "email", _("E-mail")
    WEBHOOK = "webhook", _("Webhook")


class Status(models.TextChoices):
    """``planned`` goes out as soon as it is due, ``held`` waits for a digest; the others are the end."""

    PLANNED = "planned", _("Planned")
    HELD = "held", _("Held")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")
    DROPPED = "dropped", _("Dropped")


WAITING = (Status.PLANNED.value, Status.HELD.value)


class Endpoint(TenantModel):
    """Where webhooks go. The secret is kept encrypted: signing needs it in the clear, a copy of the table must not do."""

    name = models.CharField(_("name"), max_length=100)
    url = models.CharField(_("address"), max_length=2000)
    #: Kinds of events, or their beginnings: ``incident.``; an empty list takes all.
    kinds = models.JSONField(_("kinds of events"), default=list, blank=True)
    secret = models.TextField()
    #: After a rotation, deliveries are signed with this one as well until ``previous_until``.
    previous_secret = models.TextField(blank=True)
    previous_until = models.DateTimeField(null=True)
    is_active = models.BooleanField(_("in use"), default=True)
    #: Failed attempts in a row.
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    #: Nothing is tried before this instant, after a failure.
    resting_until = models.DateTimeField(null=True)
    #: Why and when the product switched it off; a person switches it on again.
    disabled_at = models.DateTimeField(_("switched off at"), null=True)
    disabled_reason = models.CharField(_("switched off because"), max_length=300, blank=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="webhook_endpoint_name")]
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")

    def __str__(self) -> str:
        return self.name


class Dispatch(TenantModel):
    """The ledger: one notification (or event) on its way through one channel to one recipient. ``key`` makes it single.

    ``reason`` says in a code why it is held, dropped or failed; ``error`` what the other side said at the last failure.
    """

    platform_columns = ("tenant_id", "status", "available_at")

    key = models.CharField(max_length=120)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    notification = TenantForeignKey(Notification, null=True)
    person = TenantForeignKey(Person, null=True, verbose_name=_("to"))
    endpoint = TenantForeignKey(Endpoint, null=True, verbose_name=_("webhook endpoint"))
    event = TenantForeignKey("events.Event", null=True)
    ticket = TenantForeignKey("tickets.Ticket", null=True, verbose_name=_("ticket"))
    #: The mail that carried this one.
    digest = TenantForeignKey("self", null=True)
    status = models.CharField(_("status"), max_length=8, choices=Status.choices, default=Status.PLANNED)
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    error = models.CharField(_("last error"), max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    available_at = models.DateTimeField(_("next attempt"), null=True, default=now)
    created_at = models.DateTimeField(_("planned at"), default=now)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    #: What the other side calls it: the Message-ID, or the answer of the endpoint.
    provider_id = models.CharField(_("known to the other side as"), max_length=200, blank=True)
    address = models.CharField(_("address"), max_length=254, blank=True)
    subject = models.CharField(_("subject"), max_length=250, blank=True)
    text = models.TextField(_("text"), blank=True)
    #: Whether the text tells of something that only readers of internal notes may read.
    internal = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "key"], name="dispatch_key")]
        indexes: ClassVar = [
            models.Index(fields=["available_at"], name="dispatch_due", condition=Q(status__in=["planned", "held"])),
            models.Index(
                fields=["tenant", "available_at"],
                name="dispatch_due_tenant",
                condition=Q(status__in=["planned", "held"]),
            ),
            models.Index(fields=["tenant", "person", "-created_at"], name="dispatch_person"),
            models.Index(fields=["tenant", "ticket"], name="dispatch_ticket", condition=Q(ticket__isnull=False)),
            models.Index(fields=["tenant", "digest"], name="dispatch_digest", condition=Q(digest__isnull=False)),
            models.Index(fields=["tenant", "created_at"], name="dispatch_age"),
            models.Index(
                fields=["tenant", "notification"],
                name="dispatch_notification",
                condition=Q(notification__isnull=False),
            ),
        ]
        verbose_name = _("sent mail")
        verbose_name_plural = _("sent mail")

    def __str__(self) -> str:
        return self.subject or self.key


class Digest(models.TextChoices):
    OFF = "off", _("At once, each on its own")
    HOURLY = "hourly", _("Every hour, in one mail")
    DAILY = "daily", _("Once a day, in one mail")


class Preference(TenantModel):
    """What a person wants to be told, how and when; the row without a person is the tenant's default."""

    person = TenantForeignKey(Person, null=True)
    #: {topic: {channel: bool}}; what is not said follows the tenant's default, then the topic's own.
    topics = models.JSONField(default=dict)
    quiet_start = models.TimeField(null=True)
    quiet_end = models.TimeField(null=True)
    #: Whether pages come through during quiet hours.
    pages_in_quiet = models.BooleanField(default=True)
    digest = models.CharField(max_length=8, choices=Digest.choices, default=Digest.OFF)
    digest_at = models.TimeField(default=time(8, 0))

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "person"], name="preference_person", nulls_distinct=False)
        ]


class MessageTemplate(TenantModel):
    """The tenant's own words for one kind of message in one language; without a row the product's words hold."""

    key = models.CharField(_("message"), max_length=60)
    language = models.CharField(_("language"), max_length=16)
    subject = models.CharField(_("subject"), max_length=200)
    text = models.TextField(_("text"))
    updated_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "key", "language"], name="message_template")]
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")

    def __str__(self) -> str:
        return f"{self.key} ({self.language})"
