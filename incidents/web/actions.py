"""What can be done on an incident's page: per button its form, its right and the command behind it. No rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from incidents import commands, majors
from incidents.flow import FLOW, permission_of
from incidents.verbs import allowed_verbs
from incidents.web import forms, major, major_actions
from incidents.web.action import Action, Data, Run
from itsm.access.decide import allows
from itsm.kernel.actor import Actor
from itsm.kernel.unset import UNSET
from itsm.tickets import commands as spine
from itsm.tickets.models import Ticket
from itsm.web.forms import TicketForm

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


def _verb(command: Callable[..., Ticket], *inputs: str) -> Run:
    """A command whose inputs are called as the form calls them."""

    def run(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
        given = {name: data[name] for name in inputs}
        command(actor=actor, ticket_id=ticket.pk, expected_version=data["version"], **given)

    return run


def _hold(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    commands.hold_incident(
        actor=actor,
        ticket_id=ticket.pk,
        hold_reason=data["hold_reason"],
        comment=data["comment"],
        expected_version=data["version"],
    )


def _merge(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    commands.merge_incident(actor=actor, ticket_id=ticket.pk, into_id=data["number"], expected_version=data["version"])


def _follow_up(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> Ticket:
    return commands.open_follow_up(actor=actor, ticket_id=ticket.pk, description=data["description"])


def _comment(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    files = []
    if upload := data["file"]:
        file = spine.attach_file(
            actor=actor,
            ticket_id=ticket.pk,
            name=upload.name,
            content=upload.file,
            size=upload.size,
            audience=data["audience"],
        )
        files.append(file.pk)
    if data["body"]:
        spine.comment_on_ticket(
            actor=actor, ticket_id=ticket.pk, body=data["body"], audience=data["audience"], attachment_ids=files
        )


def _detach(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    spine.detach_file(actor=actor, ticket_id=ticket.pk, attachment_id=data["file"])


def _assign(actor: Actor, ticket: Ticket, data: Data, form: TicketForm) -> None:
    spine.assign_ticket(
        actor=actor, ticket_id=ticket.pk, expected_version=data["version"], **_changed(form, data, "team", "assignee")
    )


def _edit(actor: Actor, ticket: Ticket, data: Data, form: TicketForm) -> None:
    texts = {name: data[name] for name in ("title", "description", "impact", "urgency") if name in form.changed_data}
    ids = _changed(form, data, "service", "category")
    requester = data["requester"]
    if "requester" in form.changed_data and requester is not None:
        ids["requester_id"] = requester.pk
    spine.update_ticket(actor=actor, ticket_id=ticket.pk, expected_version=data["version"], **texts, **ids)


def _changed(form: TicketForm, data: Data, *names: str) -> Data:
    return {f"{name}_id": data[name] if name in form.changed_data else UNSET for name in names}


def _watch(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    spine.watch_ticket(actor=actor, ticket_id=ticket.pk)


def _add_watcher(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    spine.watch_ticket(actor=actor, ticket_id=ticket.pk, person_id=data["person"].pk)


def _unwatch(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    spine.unwatch_ticket(actor=actor, ticket_id=ticket.pk, person_id=data.get("person"))


def _link(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    spine.link_tickets(actor=actor, ticket_id=ticket.pk, target_id=data["number"], kind=data["kind"])


def _unlink(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    spine.unlink_tickets(actor=actor, ticket_id=ticket.pk, link_id=data["link"])


def _parent(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    spine.set_parent(actor=actor, ticket_id=ticket.pk, parent_id=data["number"], expected_version=data["version"])


def _move(verb: str, label: Any, form: type[TicketForm], run: Run, done: Any, *, primary: bool = False) -> Action:
    return Action(label, form, run, verb, permission_of(verb), done, primary)


ACTIONS: dict[str, Action] = {
    "take": _move(
        "take", _("Take"), forms.PlainForm, _verb(commands.take_incident), _("It is yours now."), primary=True
    ),
    "start": _move("start", _("Start"), forms.PlainForm, _verb(commands.start_incident), _("Work has started.")),
    "resume": _move(
        "resume", _("Resume"), forms.PlainForm, _verb(commands.resume_incident), _("Work goes on."), primary=True
    ),
    "hold": _move("hold", _("Put on hold"), forms.HoldForm, _hold, _("It is on hold.")),
    "resolve": _move(
        "resolve",
        _("Resolve"),
        forms.ResolveForm,
        _verb(commands.resolve_incident, "close_code", "close_notes"),
        _("It is resolved."),
    ),
    "reopen": _move(
        "reopen", _("Reopen"), forms.ReasonForm, _verb(commands.reopen_incident, "reason"), _("It is open again.")
    ),
    "close": _move("close", _("Close"), forms.PlainForm, _verb(commands.close_incident), _("It is closed.")),
    "merge": _move("merge", _("Merge"), forms.MergeForm, _merge, _("It is merged and closed.")),
    "cancel": _move(
        "cancel",
        _("Cancel incident"),
        forms.ReasonForm,
        _verb(commands.cancel_incident, "reason"),
        _("It is canceled."),
    ),
    "follow-up": Action(
        _("Open a follow-up"),
        forms.FollowUpForm,
        _follow_up,
        "follow_up",
        "incident.reopen",
        _("This is the follow-up."),
    ),
    "comment": Action(_("Send"), forms.CommentForm, _comment, "comment", "ticket.comment", _("Sent.")),
    "detach": Action(_("Remove"), forms.DetachForm, _detach, "attach", "ticket.attach", _("The file is removed.")),
    "assign": Action(_("Assign"), forms.AssignForm, _assign, "assign", "ticket.assign", _("Assigned.")),
    "edit": Action(_("Save"), forms.EditForm, _edit, "update", "ticket.update", _("Saved.")),
    "watch": Action(_("Watch"), forms.PlainForm, _watch, "watch", "ticket.watch", _("You watch this now.")),
    "add-watcher": Action(
        _("Add"), forms.WatcherForm, _add_watcher, "watch", "ticket.manage_watchers", _("The watcher is added.")
    ),
    "unwatch": Action(
        _("Stop watching"), forms.UnwatchForm, _unwatch, "watch", "ticket.watch", _("The watcher is removed.")
    ),
    "link": Action(_("Link"), forms.LinkForm, _link, "link", "ticket.link", _("Linked.")),
    "unlink": Action(_("Remove"), forms.UnlinkForm, _unlink, "link", "ticket.link", _("The link is removed.")),
    "parent": Action(_("Set parent"), forms.ParentForm, _parent, "parent", "ticket.link", _("Saved.")),
    **major_actions.actions(forms.ReasonForm),
}


#: What people call the verbs of the flow, where a refusal names them.
VERBS: dict[str, _StrOrPromise] = {
    action.verb: action.label for action in ACTIONS.values() if action.verb in {*FLOW.moves, "follow_up"}
}
#: Why a verb may be refused where the flow would allow it, or would never: by verb and state.
REFUSALS: dict[tuple[str, str], str] = {
    ("reopen", "resolved"): gettext_noop("This was resolved too long ago. Log a new incident instead."),
    **major_actions.REFUSALS,
    **{
        ("follow_up", state.key): gettext_noop("This incident is not closed. Comment on it or reopen it instead.")
        for state in FLOW.states.values()
        if state.category not in {"closed", "canceled"}
    },
}


def possible(actor: Actor, ticket: Ticket) -> set[str]:
    """The names of the actions that a page offers: those whose verb is allowed, as the API says it. Commands decide."""
    verbs = set(allowed_verbs(actor, ticket))
    found = {
        name for name, action in ACTIONS.items() if action.verb in verbs and allows(actor, action.permission, ticket)
    }
    return found | major.offered(actor, ticket, majors.major_of(ticket))
