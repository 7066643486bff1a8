"""What only an incident knows. Everything that a queue filters or sorts by is on the ticket spine."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

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
