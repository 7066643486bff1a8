"""The verbs that every ticket has, whatever its kind. One verb, one function, the actor always named."""

from itsm.tickets.commands.assignment import assign_ticket
from itsm.tickets.commands.attachments import attach_file, detach_file, refuse_unfit
from itsm.tickets.commands.comments import comment_on_ticket
from itsm.tickets.commands.erasure import erase_person, retire_texts
from itsm.tickets.commands.fields import update_ticket
from itsm.tickets.commands.relations import link_tickets, set_parent, unlink_tickets, unwatch_ticket, watch_ticket

__all__ = [
    "assign_ticket",
    "attach_file",
    "comment_on_ticket",
    "detach_file",
    "erase_person",
    "link_tickets",
    "refuse_unfit",
    "retire_texts",
    "set_parent",
    "unlink_tickets",
    "unwatch_ticket",
    "update_ticket",
    "watch_ticket",
]
