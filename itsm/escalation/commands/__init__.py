"""What changes escalation policies, and what people do to runs."""

from itsm.escalation.commands.policies import create_policy, update_policy
from itsm.escalation.commands.runs import acknowledge_escalation, start_escalation

__all__ = ["acknowledge_escalation", "create_policy", "start_escalation", "update_policy"]
