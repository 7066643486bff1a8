"""What only an incident knows. Everything that a queue filters or sorts by is on the ticket spine."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from itsm.kernel.clock import now
from itsm.tenancy.fields import TenantForeignKey, TenantModel, TenantOneToOneField
from itsm.tenancy.models import Person
from itsm.tickets.models import Ticket


class HoldReason(models.TextChoices):
    """ServiceNow's reasons for On Hold."""

    CALLER = "awaiting_caller", _("Awaiting caller")
    CHANGE = "awaiting_change", _("Awaiting change")
    PROBLEM = "awaiting_problem", _("Awaiting problem")
    VENDOR = "awaiting_vendor", _("Awaiting vendor")


class CloseCode(models.TextChoices):
    """ServiceNow's resolution codes, and ours for a defect that another tracker has not fixed."""

    SOLUTION = "solution_provided", _("Solution provided")
    WORKAROUND = "workaround_provided", _("Workaround provided")
    CALLER = "resolved_by_caller", _("Resolved by caller")
    CHANGE = "resolved_by_change", _("Resolved by change")
    PROBLEM = "resolved_by_problem", _("Resolved by problem")
    REQUEST = "resolved_by_request", _("Resolved by request")
    KNOWN_ERROR = "known_error", _("Known error")
    DUPLICATE = "duplicate", _("Duplicate")
    NO_RESOLUTION = "no_resolution_provided", _("No resolution provided")
    UNRESOLVED_DEFECT = "unresolved_known_defect", _("Unresolved: known defect")


class Incident(TenantModel):
    """The incident's own part of a ticket."""

    id = None  # type: ignore[assignment]
    ticket = TenantOneToOneField(Ticket, primary_key=True)
    hold_reason = models.CharField(max_length=20, blank=True, choices=HoldReason.choices)
    close_code = models.CharField(max_length=32, blank=True, choices=CloseCode.choices)
    close_notes = models.TextField(blank=True)
    resolved_by = TenantForeignKey(Person, null=True)
    closed_by = TenantForeignKey(Person, null=True)
    last_reopened_at = models.DateTimeField(null=True)
    last_reopened_by = TenantForeignKey(Person, null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant", "hold_reason"], name="incident_hold")]

    def __str__(self) -> str:
        return str(self.ticket_id)


class MajorState(models.TextChoices):
    """How far a major incident has come. Led, then looked back at; or it was none after all."""

    DECLARED = "declared", _("Major incident")
    REVIEW_DUE = "review_due", _("Review due")
    REVIEWED = "reviewed", _("Reviewed")
    STOOD_DOWN = "stood_down", _("Stood down")


class MajorIncident(TenantModel):
    """How a major incident is led. Its story, updates and review are events of the ticket; here is who and how far."""

    id = None  # type: ignore[assignment]
    ticket = TenantOneToOneField(Ticket, primary_key=True)
    state = models.CharField(max_length=12, choices=MajorState.choices, default=MajorState.DECLARED)
    commander = TenantForeignKey(Person, null=True)
    declared_at = models.DateTimeField(default=now)
    declared_by = TenantForeignKey(Person, null=True)
    #: When it was resolved, stood down or merged.
    ended_at = models.DateTimeField(null=True)
    review_due_at = models.DateTimeField(null=True)
    reviewed_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant", "-declared_at"], name="major_declared")]

    def __str__(self) -> str:
        return str(self.ticket_id)


class MajorRole(TenantModel):
    """Who does what in leading it, besides the commander. ``name`` is what people call the role."""

    tenancy_rights = ("SELECT", "INSERT", "DELETE")

    ticket = TenantForeignKey(Ticket)
    name = models.CharField(max_length=60)
    person = TenantForeignKey(Person)
    author = TenantForeignKey(Person, null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "ticket", "name"], name="major_role_name")]

    def __str__(self) -> str:
        return self.name


class MajorStakeholder(TenantModel):
    """Somebody who hears the updates without having asked for anything."""

    tenancy_rights = ("SELECT", "INSERT", "DELETE")

    ticket = TenantForeignKey(Ticket)
    person = TenantForeignKey(Person)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "ticket", "person"], name="major_stakeholder_once")
        ]


class MajorAction(TenantModel):
    """What a review decided shall be done, by whom and until when."""

    ticket = TenantForeignKey(Ticket)
    text = models.TextField()
    owner = TenantForeignKey(Person)
    due_on = models.DateField()
    position = models.PositiveSmallIntegerField(default=0)
    author = TenantForeignKey(Person, null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant", "ticket", "position"], name="major_action_ticket"),
            models.Index(fields=["tenant", "owner", "due_on"], name="major_action_owner"),
        ]
