"""What changes calendars and policies."""

from itsm.sla.commands.calendars import change_calendar, choose_calendar, create_calendar, update_calendar
from itsm.sla.commands.policies import change_policy, create_policy, order_policies, update_policy

__all__ = [
    "change_calendar",
    "change_policy",
    "choose_calendar",
    "create_calendar",
    "create_policy",
    "order_policies",
    "update_calendar",
    "update_policy",
]
