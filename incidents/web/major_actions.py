"""What can be done on the page of a major incident. No rules."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from incidents import commands
from incidents.commands.major_review import Action as ReviewAction
from incidents.models import MajorState
from incidents.web import major_forms as forms
from incidents.web.action import Action, Data
from itsm.access.decide import visible_to
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Invalid
from itsm.kernel.unset import UNSET
from itsm.tickets.models import Ticket
from itsm.web.forms import TicketForm


def _declare(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    commands.declare_major(
        actor=actor,
        ticket_id=ticket.pk,
        reason=data["reason"],
        commander_id=data["commander"],
        raise_priority=data["raise_priority"],
        expected_version=data["version"],
    )


def _update(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    commands.send_major_update(actor=actor, ticket_id=ticket.pk, body=data["body"])


def _roles(actor: Actor, ticket: Ticket, data: Data, form: TicketForm) -> None:
    person, stakeholder = data["person"], data["stakeholder"]
    if person is not None and not data["role"]:
        raise Invalid.one("role", "required", "Name the role.")
    commands.change_major_roles(
        actor=actor,
        ticket_id=ticket.pk,
        commander_id=data["commander"] if "commander" in form.changed_data else UNSET,
        roles={data["role"]: person.pk if person else None} if data["role"] else {},
        add_stakeholders=[stakeholder.pk] if stakeholder else [],
        expected_version=data["version"],
    )


def _drop(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    commands.change_major_roles(
        actor=actor, ticket_id=ticket.pk, remove_stakeholders=[data["person"]], expected_version=data["version"]
    )


def _children(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    numbers = list(dict.fromkeys(data["children"].replace(",", " ").upper().split()))
    known = dict(visible_to(actor, Ticket.objects.filter(number__in=numbers)).values_list("number", "pk"))
    if unknown := [number for number in numbers if number not in known]:
        raise Invalid.one("children", "unknown_reference", f"There is no incident {unknown[0][:40]}.")
    commands.attach_children(
        actor=actor,
        ticket_id=ticket.pk,
        child_ids=[known[number] for number in numbers],
        expected_version=data["version"],
    )


def _stand_down(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    commands.stand_down_major(actor=actor, ticket_id=ticket.pk, reason=data["reason"], expected_version=data["version"])


def _review(actor: Actor, ticket: Ticket, data: Data, _form: TicketForm) -> None:
    numbers = range(1, forms.ACTIONS + 1)
    commands.review_major(
        actor=actor,
        ticket_id=ticket.pk,
        went_well=data["went_well"],
        went_badly=data["went_badly"],
        causes=data["causes"],
        actions=[
            ReviewAction(data[f"action_{n}"], data[f"owner_{n}"].pk, data[f"due_{n}"])
            for n in numbers
            if data[f"action_{n}"]
        ],
        expected_version=data["version"],
    )


def actions(reason_form: type[TicketForm]) -> dict[str, Action]:
    """By name: the address, and the key of its form on the page. ``reason_form`` asks why, and nothing else."""
    lead, tell = "incident.declare_major", "incident.update_major"
    return {
        "declare-major": Action(
            _("Declare a major incident"), forms.DeclareForm, _declare, "declare_major", lead,
            _("It is led as a major incident now."),
        ),
        "major-update": Action(
            _("Send update"), forms.UpdateForm, _update, "send_major_update", tell, _("The update is sent.")
        ),
        "major-roles": Action(_("Change roles"), forms.RolesForm, _roles, "change_major_roles", lead, _("Saved.")),
        "drop-stakeholder": Action(
            _("Remove"), forms.DropStakeholderForm, _drop, "change_major_roles", lead, _("Saved.")
        ),
        "children": Action(
            _("Attach children"), forms.ChildrenForm, _children, "attach_children", "ticket.link", _("Saved.")
        ),
        "stand-down": Action(
            _("Stand down"), reason_form, _stand_down, "stand_down_major", lead,
            _("It is no major incident any more."),
        ),
        # Its commander may review without being a manager; the command has the last word.
        "major-review": Action(
            _("Close the review"), forms.ReviewForm, _review, "review_major", tell, _("The review is written.")
        ),
    }  # fmt: skip


_NONE = gettext_noop("This is no major incident.")
_ALREADY = gettext_noop("This is a major incident already.")
_ENDED = gettext_noop("This major incident has ended.")
_VERBS = ("change_major_roles", "send_major_update", "stand_down_major", "review_major")
#: Why a verb is refused, by verb and state.
REFUSALS: dict[tuple[str, str], str] = {
    **{(verb, "not_major"): _NONE for verb in _VERBS},
    **{(verb, state): _ENDED for verb in _VERBS for state in (MajorState.REVIEW_DUE, MajorState.REVIEWED)},
    **{("declare_major", state): _ALREADY for state in MajorState.values},
    ("declare_major", "resolved"): gettext_noop("Only an open incident can be declared a major incident."),
    ("review_major", MajorState.DECLARED): gettext_noop("Resolve the incident first. Its review comes then."),
    ("review_major", MajorState.REVIEWED): gettext_noop("This major incident has been reviewed already."),
}


def verbs(found: dict[str, Action]) -> dict[str, Any]:
    """What people call them, where a refusal names them."""
    return {action.verb: action.label for name, action in found.items() if name != "drop-stakeholder"}
