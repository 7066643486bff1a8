"""How the spine lists incidents."""

from django.utils.translation import gettext_lazy as _

from incidents.flow import FLOW, KIND
from itsm.tickets.kinds import Kind

INCIDENT = Kind(key=KIND, label=_("Incident"), flow=FLOW, page="incident")
