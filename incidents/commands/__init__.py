"""The verbs of an incident. One verb, one function; every door calls these and nothing else changes an incident."""

from incidents.commands.closing import cancel_incident, close_incident, reopen_incident, resolve_incident
from incidents.commands.major import declare_major, stand_down_major
from incidents.commands.major_review import review_major
from incidents.commands.major_updates import attach_children, change_major_roles, send_major_update
from incidents.commands.merging import merge_incident
from incidents.commands.opening import open_follow_up, open_incident
from incidents.commands.working import hold_incident, resume_incident, start_incident, take_incident

__all__ = [
    "attach_children",
    "cancel_incident",
    "change_major_roles",
    "close_incident",
    "declare_major",
    "hold_incident",
    "merge_incident",
    "open_follow_up",
    "open_incident",
    "reopen_incident",
    "resolve_incident",
    "resume_incident",
    "review_major",
    "send_major_update",
    "stand_down_major",
    "start_incident",
    "take_incident",
]
