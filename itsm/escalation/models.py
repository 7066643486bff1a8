"""Escalation policies, their runs, and the ledger of steps that were taken. Versions are never changed."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import JSONField
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.tenancy.fields import APPEND_ONLY, TenantForeignKey, TenantModel
from itsm.tenancy.models import Person
from itsm.tickets.models import Ticket


class RunState(models.TextChoices):
    """How far a run is. An acknowledged one is open while its timeout runs."""

    RUNNING = "running", _("Running")
    ACKNOWLEDGED = "acknowledged", _("Acknowledged")
    EXHAUSTED = "exhausted", _("Nobody answered")
    CANCELLED = "cancelled", _("Ended")


class EscalationPolicy(TenantModel):
    """Who is called, and in which order, when something takes too long. What it says is its newest version."""

    name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)
    #: Counts changes of the policy, its terms among them.
    revision = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "name"], name="escalation_policy_name")]
        verbose_name = _("escalation policy")
        verbose_name_plural = _("escalation policies")

    def __str__(self) -> str:
        return self.name


class EscalationPolicyVersion(TenantModel):
    """What a policy says, as JSON that steps.py reads. A run goes on under the version it started with."""

    tenancy_rights = APPEND_ONLY
    append_only = True

    policy = TenantForeignKey(EscalationPolicy)
    version = models.PositiveIntegerField()
    terms = JSONField()
    created_by = TenantForeignKey(Person, null=True)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "policy", "version"], name="escalation_policy_version")
        ]

    def __str__(self) -> str:
        return str(self.version)


class EscalationRun(TenantModel):
    """One policy at work for one ticket.

    ``step_due`` are the instants of the steps of this pass (None: taken, or skipped), in the last pass with one more, at which
    the run is exhausted; ``next_due_at`` is the earliest, and empty while a claimed step waits to be told. A run that has been
    acknowledged has its timeout there. ``speaking`` are the steps that tell somebody.
    """

    platform_columns = ("tenant_id", "next_due_at")

    ticket = TenantForeignKey(Ticket)
    policy = TenantForeignKey(EscalationPolicy)
    policy_version = TenantForeignKey(EscalationPolicyVersion)
    #: What started it, once: ``event:<id>``, ``hand:<id>``, ``policy:<run>:…``.
    trigger_key = models.CharField(max_length=120)
    #: The event ``escalation.started``: the cause of all that the run does.
    event_id = models.UUIDField()
    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.RUNNING)
    generation = models.PositiveIntegerField(default=1)
    loop = models.PositiveSmallIntegerField(default=0)
    last_step = models.PositiveSmallIntegerField()
    speaking = ArrayField(models.SmallIntegerField(), default=list)
    step_due = ArrayField(models.DateTimeField(null=True), default=list)
    next_due_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField()
    started_by = TenantForeignKey(Person, null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = TenantForeignKey(Person, null=True)
    ended_at = models.DateTimeField(null=True)
    #: Why it ended or was acknowledged, as a code: ``resolved``, ``taken``, ``policy_inactive``.
    reason = models.CharField(max_length=40, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    last_error = models.CharField(max_length=300, blank=True, default="", db_default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "policy", "ticket", "trigger_key"], name="escalation_run_trigger"
            ),
            models.UniqueConstraint(
                fields=["tenant", "ticket", "policy"], name="escalation_run_open", condition=Q(ended_at__isnull=True)
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(next_due_at__isnull=True), name="escalation_run_ended_rests"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["running", "acknowledged"]) | Q(ended_at__isnull=False),
                name="escalation_run_over_ended",
            ),
        ]
        indexes: ClassVar = [
            # Over all tenants, for the sweep that asks who has something due; and inside one, for the claim.
            models.Index(
                fields=["next_due_at", "tenant"], name="escalation_run_due", condition=Q(next_due_at__isnull=False)
            ),
            models.Index(
                fields=["tenant", "next_due_at", "id"],
                name="escalation_run_due_tenant",
                condition=Q(next_due_at__isnull=False),
            ),
            models.Index(
                fields=["tenant", "policy"], name="escalation_run_of_policy", condition=Q(ended_at__isnull=True)
            ),
            models.Index(fields=["tenant", "ticket", "started_at"], name="escalation_run_ticket"),
        ]
        verbose_name = _("escalation")
        verbose_name_plural = _("escalations")


class EscalationFire(TenantModel):
    """A step that became due, once and for all. Until ``handled_at`` it waits for whoever does what it says.

    ``step`` is -1 for the timeout of an acknowledgement, and one more than the last step when the run is exhausted.
    ``skipped`` are steps that were overdue as well and are not taken any more.
    """

    tenancy_rights = ("SELECT", "INSERT", "UPDATE")
    platform_columns = ("tenant_id", "available_at", "handled_at")

    id = models.BigAutoField(primary_key=True)  # type: ignore[assignment]
    run = TenantForeignKey(EscalationRun)
    ticket = TenantForeignKey(Ticket)
    generation = models.PositiveIntegerField()
    loop = models.PositiveSmallIntegerField()
    step = models.SmallIntegerField()
    due_at = models.DateTimeField()
    fired_at = models.DateTimeField()
    skipped = ArrayField(models.SmallIntegerField(), default=list)
    #: What became of it: ``taken``, ``unmet`` (a condition), ``late``, ``dropped`` (the run was over), ``restarted``, ``waits``.
    outcome = models.CharField(max_length=12, blank=True, default="", db_default="")
    handled_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    available_at = models.DateTimeField(default=now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "run", "generation", "loop", "step"], name="escalation_fire_once"
            ),
            models.CheckConstraint(condition=Q(fired_at__gte=F("due_at")), name="escalation_fire_not_early"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["available_at", "tenant"], name="escalation_fire_waiting", condition=Q(handled_at__isnull=True)
            ),
            models.Index(
                fields=["tenant", "available_at", "id"],
                name="escalation_fire_waiting_tenant",
                condition=Q(handled_at__isnull=True),
            ),
            models.Index(fields=["tenant", "ticket"], name="escalation_fire_ticket"),
        ]
