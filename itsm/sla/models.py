"""Calendars, policies and clocks as rows. Versions are never changed; a clock names those that it runs under."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import JSONField
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.tenancy.fields import APPEND_ONLY, TenantForeignKey, TenantModel
from itsm.tenancy.models import Organisation, Person, Team
from itsm.tickets.models import Service, Ticket


class Metric(models.TextChoices):
    """What a policy promises. OLA is what one team promises another while it has the ticket; CADENCE, that news keeps coming."""

    RESPONSE = "response", _("Response")
    RESOLUTION = "resolution", _("Resolution")
    UPDATE = "update", _("Update")
    OLA = "ola", _("Team (OLA)")
    CADENCE = "cadence", _("Next update")


class SlaCalendar(TenantModel):
    """Hours of work, as the tenant calls them. Its zone is for good; its hours are the versions."""

    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64)
    is_active = models.BooleanField(default=True)
    #: Raised by each change, a new version included: what If-Match names.
    revision = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="sla_calendar_name")]
        verbose_name = _("calendar")

    def __str__(self) -> str:
        return self.name


class SlaCalendarVersion(TenantModel):
    """The hours of a calendar from a local date on; before it, those of the version before hold.

    ``hours`` is JSON as calendar_file reads it; ``labels`` names exceptions by date ("Christmas Day").
    """

    tenancy_rights = APPEND_ONLY
    append_only = True

    calendar = TenantForeignKey(SlaCalendar)
    version = models.PositiveIntegerField()
    effective_from = models.DateField()
    hours = JSONField()
    labels = JSONField(default=dict)
    created_by = TenantForeignKey(Person, null=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "calendar", "version"], name="sla_calendar_version")
        ]

    def __str__(self) -> str:
        return str(self.version)


class CalendarChoice(TenantModel):
    """Which calendar a service or a requester's organisation lives by, for policies that take it from there."""

    calendar = TenantForeignKey(SlaCalendar)
    service = TenantForeignKey(Service, null=True)
    organisation = TenantForeignKey(Organisation, null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "service"], name="sla_choice_service"),
            models.UniqueConstraint(fields=["tenant", "organisation"], name="sla_choice_organisation"),
            models.CheckConstraint(
                condition=Q(service__isnull=True) ^ Q(organisation__isnull=True), name="sla_choice_one"
            ),
        ]


class SlaPolicy(TenantModel):
    """A promise by name. Of the active ones of a metric, the first in order that applies to a ticket holds."""

    name = models.CharField(max_length=120)
    metric = models.CharField(max_length=10, choices=Metric.choices)
    position = models.PositiveSmallIntegerField(default=100)
    is_active = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="sla_policy_name")]
        verbose_name = _("SLA policy")
        verbose_name_plural = _("SLA policies")

    def __str__(self) -> str:
        return self.name


class SlaPolicyVersion(TenantModel):
    """What a policy says, as JSON that terms.py reads. The newest version holds for clocks that start or are retargeted."""

    tenancy_rights = APPEND_ONLY
    append_only = True

    policy = TenantForeignKey(SlaPolicy)
    version = models.PositiveIntegerField()
    terms = JSONField()
    created_by = TenantForeignKey(Person, null=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "policy", "version"], name="sla_policy_version")
        ]

    def __str__(self) -> str:
        return str(self.version)


class SlaClock(TenantModel):
    """One promise about one ticket, as it stands: the row of clock.Clock. Spans are microseconds of business time.

    ``next_due_at`` is the earliest armed threshold: what the sweep looks for. A row that cannot be fired keeps its
    thresholds and gets a later ``next_due_at``, with what went wrong beside it.
    """

    platform_columns = ("tenant_id", "next_due_at")

    ticket = TenantForeignKey(Ticket)
    metric = models.CharField(max_length=10, choices=Metric.choices)
    #: Whose promise it is (OLA).
    team = TenantForeignKey(Team, null=True)
    policy = TenantForeignKey(SlaPolicy)
    policy_version = TenantForeignKey(SlaPolicyVersion)
    calendar_version = TenantForeignKey(SlaCalendarVersion)
    #: The target as the policy writes it: ``4h``, ``2bd``.
    promise = models.CharField(max_length=24)
    cycle = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=8)
    generation = models.PositiveIntegerField(default=1)
    target = models.BigIntegerField()
    elapsed = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    anchor_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    #: The hold reason for which it waits.
    pause_reason = models.CharField(max_length=40, blank=True, default="")
    stopped_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    breached_at = models.DateTimeField(null=True)
    step_due = ArrayField(models.DateTimeField(null=True), default=list)
    fired = ArrayField(models.SmallIntegerField(), default=list)
    next_due_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "ticket", "metric", "team", "cycle"], name="sla_clock_cycle", nulls_distinct=False
            ),
            models.UniqueConstraint(
                fields=["tenant", "ticket", "metric"],
                name="sla_clock_open",
                condition=Q(state__in=["running", "paused"]),
            ),
            models.CheckConstraint(
                condition=Q(state="running") | Q(next_due_at__isnull=True), name="sla_clock_armed_runs"
            ),
            models.CheckConstraint(
                condition=Q(state="running", anchor_at__isnull=False)
                | (~Q(state="running") & Q(anchor_at__isnull=True)),
                name="sla_clock_anchor",
            ),
            models.CheckConstraint(condition=Q(elapsed__gte=0), name="sla_clock_elapsed"),
        ]
        indexes: ClassVar = [
            # Over all tenants, for the sweep that asks who has something due; and inside one, for the claim.
            models.Index(
                fields=["next_due_at", "tenant"], name="sla_clock_due", condition=Q(next_due_at__isnull=False)
            ),
            models.Index(
                fields=["tenant", "next_due_at", "id"],
                name="sla_clock_due_tenant",
                condition=Q(next_due_at__isnull=False),
            ),
            models.Index(
                fields=["tenant", "due_at"], name="sla_clock_running", condition=Q(state__in=["running", "paused"])
            ),
            models.Index(
                fields=["tenant", "calendar_version"],
                name="sla_clock_calendar",
                condition=Q(state__in=["running", "paused"]),
            ),
            models.Index(
                fields=["tenant", "policy"], name="sla_clock_policy", condition=Q(state__in=["running", "paused"])
            ),
            models.Index(
                fields=["tenant", "stopped_at"], name="sla_clock_stopped", condition=Q(stopped_at__isnull=False)
            ),
            models.Index(
                fields=["tenant", "breached_at"], name="sla_clock_breached", condition=Q(breached_at__isnull=False)
            ),
        ]


#: Operations after which a clock has ended.
ENDS = ("stop", "cancel")


class SlaClockEvent(TenantModel):
    """One operation on a clock, as clock.py knows them. Replaying them gives the row again.

    ``generation`` is the clock's after it, 1 for the start. ``reason`` is a code: the hold reason, what changed. An end
    (ENDS) also keeps where the ticket stood then, so that what is reported of a period stays true when the ticket moves on.
    """

    tenancy_rights = APPEND_ONLY
    append_only = True

    clock = TenantForeignKey(SlaClock)
    generation = models.PositiveIntegerField()
    operation = models.CharField(max_length=12)
    at = models.DateTimeField()
    policy_version = TenantForeignKey(SlaPolicyVersion)
    calendar_version = TenantForeignKey(SlaCalendarVersion)
    target = models.BigIntegerField()
    promise = models.CharField(max_length=24)
    elapsed = models.BigIntegerField()
    due_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=40, blank=True, default="")
    #: The event of the ticket that brought it about.
    event_id = models.UUIDField(null=True)
    # Where the ticket stood at an end; empty for every other operation.
    priority = models.PositiveSmallIntegerField(null=True)
    team = TenantForeignKey(Team, null=True)
    service = TenantForeignKey(Service, null=True)
    #: The requester's.
    organisation = TenantForeignKey(Organisation, null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "clock", "generation"], name="sla_clock_event_generation")
        ]
        indexes: ClassVar = [
            # For reports: what ended in a period, and what went on after its end.
            models.Index(
                fields=["tenant", "at"], name="sla_clock_ended", condition=Q(operation__in=["stop", "cancel"])
            ),
            models.Index(fields=["tenant", "clock"], name="sla_clock_reopened", condition=Q(operation="reopen")),
        ]


class SlaFire(TenantModel):
    """A threshold that was reached, once and for all. Until ``handled_at`` it waits to be told to its ticket.

    ``coalesced`` ones were overtaken by a later threshold of the same clock in the same sweep, and are told with it.
    """

    tenancy_rights = ("SELECT", "INSERT", "UPDATE")
    platform_columns = ("tenant_id", "available_at", "handled_at")

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    clock = TenantForeignKey(SlaClock)
    ticket = TenantForeignKey(Ticket)
    generation = models.PositiveIntegerField()
    step = models.PositiveSmallIntegerField()
    due_at = models.DateTimeField()
    fired_at = models.DateTimeField()
    coalesced = models.BooleanField(default=False)
    handled_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    available_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "clock", "generation", "step"], name="sla_fire_once"),
            models.CheckConstraint(condition=Q(fired_at__gte=F("due_at")), name="sla_fire_not_early"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["available_at", "tenant"], name="sla_fire_waiting", condition=Q(handled_at__isnull=True)
            ),
            models.Index(
                fields=["tenant", "available_at", "id"],
                name="sla_fire_waiting_tenant",
                condition=Q(handled_at__isnull=True),
            ),
            models.Index(fields=["tenant", "ticket"], name="sla_fire_ticket"),
        ]
