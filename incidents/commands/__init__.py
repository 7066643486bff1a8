"""The verbs of an incident. One verb, one function; every door calls these and nothing else changes an incident."""

from incidents.commands.closing import cancel_incident, close_incident, reopen_incident, resolve_incident
from incidents.commands.merging import merge_incident
from incidents.commands.opening import open_follow_up, open_incident
from incidents.commands.working import hold_incident, resume_incident, start_incident, take_incident

__all__ = [
    "cancel_incident",
    "close_incident",
    "hold_incident",
    "merge_incident",
    "open_follow_up",
    "open_incident",
    "reopen_incident",
    "resolve_incident",
    "resume_incident",
    "start_incident",
    "take_incident",
]
