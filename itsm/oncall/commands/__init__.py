"""What changes on-call schedules."""

from itsm.oncall.commands.feeds import create_feed, revoke_feed
from itsm.oncall.commands.importing import import_calendar
from itsm.oncall.commands.overrides import add_override, remove_override
from itsm.oncall.commands.schedules import add_layer, create_schedule, remove_layer, update_layer, update_schedule

__all__ = [
    "add_layer",
    "add_override",
    "create_feed",
    "create_schedule",
    "import_calendar",
    "remove_layer",
    "remove_override",
    "revoke_feed",
    "update_layer",
    "update_schedule",
]
