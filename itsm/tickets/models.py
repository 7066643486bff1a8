"""The ticket spine and what hangs on every ticket, whatever its kind."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.tenancy.fields import TenantForeignKey, TenantModel
from itsm.tenancy.models import Person, Team


class StateCategory(models.TextChoices):
    """What a state means to clocks, reports and queues, whatever a process calls it."""

    NEW = "new", _("New")
    ACTIVE = "active", _("Active")
    WAITING = "waiting", _("Waiting")
    DONE = "done", _("Done")
    CLOSED = "closed", _("Closed")
    CANCELED = "canceled", _("Canceled")


OPEN_CATEGORIES = (StateCategory.NEW, StateCategory.ACTIVE, StateCategory.WAITING)


class WorkKind(TenantModel):
    """A kind of ticket: its key (``incident``), its name and the prefix of its numbers. Data, so that a tenant may add its own."""

    key = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=8)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "key"], name="work_kind_key"),
            models.UniqueConstraint(fields=["tenant", "prefix"], name="work_kind_prefix"),
        ]

    def __str__(self) -> str:
        return self.name


class NumberSeries(TenantModel):
    """The last number taken of a kind. Updated in short transactions of its own; gaps are allowed, repeats are not."""

    kind = models.CharField(max_length=40)
    last_value = models.BigIntegerField(default=1000)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "kind"], name="number_series_kind")]


class Service(TenantModel):
    """A service that users depend on and tickets are about. A plain list for now."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="service_name")]

    def __str__(self) -> str:
        return self.name


class Category(TenantModel):
    """What a ticket is about, in a tree of two or more levels."""

    name = models.CharField(max_length=120)
    parent = TenantForeignKey("self", null=True, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "parent", "name"], name="category_name", nulls_distinct=False)
        ]
        verbose_name_plural = _("categories")

    def __str__(self) -> str:
        return self.name


class PriorityRule(TenantModel):
    """One cell of the tenant's priority matrix: impact and urgency (1 = highest … 3) give a priority (1 = highest … 5)."""

    impact = models.PositiveSmallIntegerField()
    urgency = models.PositiveSmallIntegerField()
    priority = models.PositiveSmallIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "impact", "urgency"], name="priority_rule_cell")
        ]

    def __str__(self) -> str:
        return f"{self.impact} × {self.urgency}"


class DeskSettings(TenantModel):
    """How this tenant's desk works. One row per tenant."""

    reopen_days = models.PositiveSmallIntegerField(
        default=7, help_text=_("Days after resolving during which an incident may be reopened.")
    )
    auto_close_days = models.PositiveSmallIntegerField(
        default=7, help_text=_("Days after resolving until an incident closes by itself; 0 never closes.")
    )
    retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Days after closing until texts are removed; empty keeps them.")
    )
    major_review_days = models.PositiveSmallIntegerField(
        default=5,
        db_default=5,
        help_text=_("Business days after resolving a major incident until its review is due."),
    )
    attachment_max_bytes = models.PositiveIntegerField(default=20 * 1024 * 1024)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant"], name="desk_settings_single")]
        verbose_name_plural = _("desk settings")

    def __str__(self) -> str:
        return str(self._meta.verbose_name_plural)


class Ticket(TenantModel):
    """Everything that a queue filters or sorts by. What only one practice knows is in that practice's detail row."""

    kind = models.CharField(max_length=40)
    number = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    #: The practice's code on the wire (incident: 1, 2, 3, 6, 7, 8).
    state = models.SmallIntegerField()
    state_category = models.CharField(max_length=8, choices=StateCategory.choices)
    impact = models.PositiveSmallIntegerField(default=3)
    urgency = models.PositiveSmallIntegerField(default=3)
    priority = models.PositiveSmallIntegerField(default=5)
    requester = TenantForeignKey(Person, null=True)
    opened_by = TenantForeignKey(Person, null=True)
    assignee = TenantForeignKey(Person, null=True)
    team = TenantForeignKey(Team, null=True)
    service = TenantForeignKey(Service, null=True)
    category = TenantForeignKey(Category, null=True)
    parent = TenantForeignKey("self", null=True)
    duplicate_of = TenantForeignKey("self", null=True)
    #: Led as a major incident, now or until it ended.
    is_major = models.BooleanField(default=False, db_default=False)
    process_version_id = models.UUIDField(null=True)
    channel = models.CharField(max_length=20, default="web")
    due_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)
    resolved_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    reopen_count = models.PositiveSmallIntegerField(default=0)
    reassignment_count = models.PositiveSmallIntegerField(default=0)
    #: Grows with every change; ETag and If-Match on the wire.
    version = models.PositiveIntegerField(default=1)
    #: The end of the ticket's event chain; only a command that holds this row's lock appends to it.
    last_sequence = models.PositiveIntegerField(default=0)
    last_digest = models.BinaryField(max_length=32, null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "number"], name="ticket_number")]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "priority", "-id"],
                name="ticket_open_priority",
                condition=Q(state_category__in=["new", "active", "waiting"]),
            ),
            models.Index(
                fields=["tenant", "team", "priority", "-id"],
                name="ticket_open_team",
                condition=Q(state_category__in=["new", "active", "waiting"]),
            ),
            models.Index(
                fields=["tenant", "assignee", "priority", "-id"],
                name="ticket_open_assignee",
                condition=Q(state_category__in=["new", "active", "waiting"]),
            ),
            models.Index(
                fields=["tenant", "due_at", "-id"],
                name="ticket_open_due",
                condition=Q(state_category__in=["new", "active", "waiting"]),
            ),
            models.Index(
                fields=["tenant", "priority", "-id"],
                name="ticket_waiting",
                condition=Q(state_category="waiting"),
            ),
            models.Index(fields=["tenant", "priority", "-id"], name="ticket_major", condition=Q(is_major=True)),
            models.Index(fields=["tenant", "-updated_at", "-id"], name="ticket_updated"),
            models.Index(fields=["tenant", "kind", "-opened_at", "-id"], name="ticket_opened"),
            models.Index(fields=["tenant", "requester", "-opened_at"], name="ticket_requester"),
            models.Index(fields=["tenant", "resolved_at"], name="ticket_resolved", condition=Q(state_category="done")),
            models.Index(fields=["tenant", "parent"], name="ticket_parent", condition=Q(parent__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_open(self) -> bool:
        return self.state_category in OPEN_CATEGORIES


class Audience(models.TextChoices):
    PUBLIC = "public", _("Reply")
    INTERNAL = "internal", _("Internal note")


class Comment(TenantModel):
    """What somebody wrote on a ticket. Its event holds the salted digest; the text may be erased, never edited."""

    ticket = TenantForeignKey(Ticket)
    author = TenantForeignKey(Person, null=True)
    audience = models.CharField(max_length=8, choices=Audience.choices)
    body = models.TextField()
    created_at = models.DateTimeField(default=now)
    erased_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant", "ticket", "created_at"], name="comment_by_ticket")]


class Attachment(TenantModel):
    """A file on a ticket: stored under the tenant's prefix, served inert (download, nosniff, sandbox).

    ``storage_key`` is empty until the content has moved from its chunks into the storage, and again after it was removed.
    """

    ticket = TenantForeignKey(Ticket)
    comment = TenantForeignKey(Comment, null=True)
    uploaded_by = TenantForeignKey(Person, null=True)
    audience = models.CharField(max_length=8, choices=Audience.choices, default=Audience.PUBLIC)
    name = models.CharField(max_length=200)
    content_type = models.CharField(max_length=100)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    storage_key = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=now)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant", "ticket", "created_at"], name="attachment_by_ticket")]


class AttachmentChunk(TenantModel):
    """A piece of a file's content, from the request that brought it until the relay has put it into the storage."""

    tenancy_rights = ("SELECT", "INSERT", "DELETE")

    attachment = TenantForeignKey(Attachment)
    position = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "attachment", "position"], name="attachment_chunk_position")
        ]


class Watcher(TenantModel):
    """Somebody who follows a ticket that is not his or hers."""

    ticket = TenantForeignKey(Ticket)
    person = TenantForeignKey(Person)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "ticket", "person"], name="watcher_once")]
        indexes: ClassVar = [models.Index(fields=["tenant", "person"], name="watcher_person")]


class LinkKind(models.TextChoices):
    RELATES = "relates_to", _("relates to")
    DUPLICATES = "duplicate_of", _("duplicate of")
    FOLLOWS = "follow_up_of", _("follow-up of")
    CAUSED_BY = "caused_by", _("caused by")


class TicketLink(TenantModel):
    """A directed link between two tickets."""

    source = TenantForeignKey(Ticket)
    target = TenantForeignKey(Ticket)
    kind = models.CharField(max_length=20, choices=LinkKind.choices)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "source", "target", "kind"], name="ticket_link_once")
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "target"], name="ticket_link_target")]


class SourceRecord(TenantModel):
    """Where an imported ticket comes from: its number and state there. Makes an import idempotent."""

    source = models.CharField(max_length=40)
    number = models.CharField(max_length=80)
    state = models.CharField(max_length=80, blank=True)
    ticket = TenantForeignKey(Ticket)
    #: SHA-256 of the source rows: a second run sees whether anything changed.
    digest = models.BinaryField(max_length=32)
    imported_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "source", "number"], name="source_record_number")
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "ticket"], name="source_record_ticket")]


class TicketSearch(TenantModel):
    """The words of a ticket, public and internal apart. Fed from the outbox; read only through itsm_search()."""

    ticket = TenantForeignKey(Ticket)
    audience = models.CharField(max_length=8, choices=Audience.choices)
    words = models.TextField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "ticket", "audience"], name="ticket_search_once")
        ]
