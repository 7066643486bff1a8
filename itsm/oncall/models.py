"""On-call schedules as they are written down: wall-clock rules, never expanded. What they mean is in rota.py."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.tenancy.fields import TenantForeignKey, TenantModel
from itsm.tenancy.models import Person, Team


class Unit(models.TextChoices):
    """What a turn is counted in."""

    HOURS = "hours", _("hours")
    DAYS = "days", _("days")
    WEEKS = "weeks", _("weeks")


class OnCallSchedule(TenantModel):
    """Who answers when something breaks, by turns. A schedule of a restricted team exists for its members only."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True)
    team = TenantForeignKey(Team, null=True, blank=True)
    is_active = models.BooleanField(default=True)
    #: Counts changes of the schedule and its layers. Overrides are objects of their own: whoever hands over a shift must not
    #: make stale what somebody else is writing about the turns.
    revision = models.PositiveIntegerField(default=1, db_default=1)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="oncall_schedule_name")]
        verbose_name = _("on-call schedule")
        verbose_name_plural = _("on-call schedules")

    def __str__(self) -> str:
        return self.name


class OnCallLayer(TenantModel):
    """People who take turns. The layer with the higher position covers those below it."""

    schedule = TenantForeignKey(OnCallSchedule)
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64)
    starts_on = models.DateField()
    handoff = models.TimeField()
    unit = models.CharField(max_length=8, choices=Unit.choices, default=Unit.WEEKS)
    every = models.PositiveSmallIntegerField(default=1)
    #: Day (mon … sun) → shifts, as in a calendar file; empty: always.
    restrictions = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "schedule", "position"], name="oncall_layer_position")
        ]
        ordering: ClassVar = ["position"]
        verbose_name = _("on-call layer")
        verbose_name_plural = _("on-call layers")

    def __str__(self) -> str:
        return self.name


class OnCallParticipant(TenantModel):
    """A person's place in the order of a layer. Somebody may have several."""

    layer = TenantForeignKey(OnCallLayer)
    position = models.PositiveSmallIntegerField()
    person = TenantForeignKey(Person)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "layer", "position"], name="oncall_participant_position")
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "person"], name="oncall_participant_person")]
        ordering: ClassVar = ["position"]


class OnCallOverride(TenantModel):
    """For a time somebody else is on call, or (``person`` empty) deliberately nobody."""

    schedule = TenantForeignKey(OnCallSchedule)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    person = TenantForeignKey(Person, null=True, blank=True)
    #: Who wrote it; whoever handed over a shift of his own may take that back.
    made_by = TenantForeignKey(Person, null=True, blank=True)
    #: From an imported calendar: which event of it. Those lie above the layers and below overrides made by hand.
    source_key = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="oncall_override_forward")
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "schedule", "ends_at"], name="oncall_override_ends")]


class OnCallFeed(TenantModel):
    """An address for calendar programs, which can send no headers: whoever knows it reads as ``person`` would.

    One schedule, or (without one) the person's own shifts in all of them. Only the hash of the secret is kept.
    """

    person = TenantForeignKey(Person)
    schedule = TenantForeignKey(OnCallSchedule, null=True, blank=True)
    prefix = models.CharField(max_length=16)
    secret_hash = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(default=now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "secret_hash"], name="oncall_feed_secret")]
        indexes: ClassVar = [models.Index(fields=["tenant", "person"], name="oncall_feed_person")]
