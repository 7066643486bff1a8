"""How the spine lists incidents."""

from incidents.flow import FLOW, KIND
from incidents.models import HoldReason
from itsm.tickets.kinds import Kind

INCIDENT = Kind(key=KIND, flow=FLOW, page="incident", waits=dict(HoldReason.choices))
