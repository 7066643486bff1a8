"""The pages of incidents that the shell leads to."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from incidents.flow import KIND
from itsm.access.decide import allows
from itsm.web.places import Place

PLACES = (
    Place("my-requests", _("My requests"), lambda _actor: True, home=True),
    Place("incident-new", _("New incident"), lambda actor: allows(actor, "incident.create", process=KIND), new=True),
    Place(
        "major-incidents",
        _("Major incidents"),
        lambda actor: allows(actor, "ticket.read_internal", process=KIND),
    ),
    Place("report-incidents", _("Report"), lambda actor: allows(actor, "report.read")),
)
