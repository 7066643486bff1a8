"""The incident page: everything it shows, put together once, whether it is read or shown again after a refusal."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from incidents import majors
from incidents.models import Incident, MajorIncident
from incidents.web import forms, major
from incidents.web.actions import ACTIONS, possible
from itsm.access.decide import allows, visible_to
from itsm.tickets.files import readable_files
from itsm.tickets.models import Ticket, TicketLink, Watcher
from itsm.tickets.placement import placement_hidden
from itsm.tickets.timeline import Entry, timeline
from itsm.web.choices import Choices
from itsm.web.forms import TicketForm
from itsm.web.pages import TenantRequest, patch_part, wants_part
from itsm.web.panes import BACK, list_url, pane_response
from itsm.web.sections import sections_of

#: The order of the verbs on the page; other actions have their place in the side bar.
VERBS = (
    "take",
    "resume",
    "start",
    "hold",
    "resolve",
    "reopen",
    "close",
    "follow-up",
    "merge",
    "declare-major",
    "cancel",
)
#: What leads a major incident, in its section.
LEADING = ("major-update", "major-roles", "children", "major-review", "stand-down")
#: Entries of the timeline that a page begins with, and the parameter that asks for all.
ENTRIES = 100
STORY = "story"


def incident_pane(request: TenantRequest, ticket: Ticket, params: str) -> SafeString:
    """The incident as it stands beside a list."""
    return IncidentPage(request, ticket, params).pane()


#: Buttons beside what they act on: their forms show no field that could carry what is wrong.
BUTTONS = ("watch", "unwatch", "unlink", "detach", "drop-stakeholder")


class IncidentPage:
    """One rendering of an incident for one reader. ``back`` are the parameters of the list that it was opened from, if any."""

    def __init__(self, request: TenantRequest, ticket: Ticket, back: str | None = None) -> None:
        self.request, self.ticket, self.actor = request, ticket, request.actor
        self.back = request.GET.get(BACK) if back is None else back
        self.choices = Choices(request.actor)
        self.bound: dict[str, TicketForm] = {}
        self.changed_meanwhile: list[Entry] = []
        self.in_conflict = False
        self.seen = 0
        self.major = majors.major_of(ticket)

    def bind(self, name: str) -> TicketForm:
        """The form of an action with what was sent."""
        form = ACTIONS[name].form(
            self.request.POST, self.request.FILES, actor=self.actor, auto_id=f"{name}_%s", **self._extra(name)
        )
        self.bound[name] = form
        return form

    def conflict(self, name: str, form: TicketForm) -> None:
        """Show what changed since the user read the page, and his form again, ready to be sent on top of that."""
        current = self._now(name)
        form.given = self._extra(name)
        self.bound[name] = form.caught_up(self.ticket, current)
        self.in_conflict = True
        self.seen = form.cleaned_data.get("seen") or 0

    def response(self, status: int = 200) -> HttpResponse:
        """The page; its pane alone, where a form of the pane was sent by the script."""
        if self.back is not None and wants_part(self.request):
            response = pane_response(self.request, self.ticket, self.pane(), self.back, status)
        else:
            url = list_url(self.back, self.ticket.number) if self.back is not None else ""
            context = {**self._context(1), "level": 1, "back_url": url}
            response = render(self.request, "incidents/incident.html", context, status=status)
        patch_part(self.request, response)
        return response

    def pane(self) -> SafeString:
        """What stands beside a list."""
        return render_to_string("incidents/parts/ticket.html", {**self._context(2), "level": 2}, self.request)

    def _context(self, level: int) -> dict[str, Any]:
        ticket, actor = self.ticket, self.actor
        led = self.major
        allowed = possible(actor, ticket)
        whole = self.request.GET.get(STORY) == "whole"
        entries = timeline(actor, ticket, limit=None if whole else ENTRIES + 1, newest=True)
        earlier = not whole and len(entries) > ENTRIES
        if self.in_conflict:
            self.changed_meanwhile = timeline(actor, ticket, after=self.seen, limit=ENTRIES)
        return {
            "ticket": ticket,
            "back": self.back,
            "incident": Incident.objects.get(pk=ticket.pk),
            "entries": entries[-ENTRIES:] if earlier else entries,
            "earlier_url": f"?{STORY}=whole#story" if earlier else "",
            "in_conflict": self.in_conflict,
            "changed_meanwhile": self.changed_meanwhile,
            "verbs": [self._verb(name) for name in VERBS if name in allowed or name in self.bound],
            "forms": {
                name.replace("-", "_"): self._form(name)
                for name in ("comment", "assign", "edit", "watch", "add-watcher", "unwatch", "link", "parent")
                if name in allowed or name in self.bound
            },
            "refused": [form for name, form in self.bound.items() if form.errors and self._has_no_place(name)],
            "can": {name.replace("-", "_") for name in allowed},
            "internal": allows(actor, "ticket.read_internal", ticket),
            "placement_hidden": placement_hidden(actor, ticket.team_id),
            "files": list(readable_files(actor, ticket).order_by("created_at")),
            "sections": sections_of(self.request, ticket, level + 1),
            **self._related(),
            **self._led(led, allowed),
        }

    def _has_no_place(self, name: str) -> bool:
        """Whether the page shows no form that could carry what is wrong."""
        return name in BUTTONS or (name in LEADING and self.major is None)

    def _led(self, led: MajorIncident | None, allowed: set[str]) -> dict[str, Any]:
        """The banner for everybody, and for the desk the section of a major incident."""
        if led is None:
            return {}
        shown: dict[str, Any] = {"banner": major.banner(self.ticket, led)}
        if allows(self.actor, "ticket.read_internal", self.ticket):
            shown["leading"] = major.section(self.actor, self.ticket, led)
            shown["lead_verbs"] = [self._verb(name) for name in LEADING if name in allowed or name in self.bound]
        return shown

    def _verb(self, name: str) -> dict[str, Any]:
        action = ACTIONS[name]
        return {
            "name": name,
            "label": action.label,
            "form": self._form(name),
            "asks": action.asks,
            "primary": action.primary,
            "open": name in self.bound,
        }

    def _form(self, name: str) -> TicketForm:
        if name in self.bound:
            return self.bound[name]
        initial: dict[str, Any] = {"version": self.ticket.version, "seen": self.ticket.last_sequence}
        if name == "edit":
            initial |= forms.EditForm.current(self.ticket)
        elif name == "assign":
            initial |= self._assignment()
        elif name == "major-roles":
            initial |= self._commander()
        return ACTIONS[name].form(actor=self.actor, auto_id=f"{name}_%s", initial=initial, **self._extra(name))

    def _extra(self, name: str) -> dict[str, Any]:
        if name in ("edit", "assign"):
            return {"choices": self.choices, "ticket": self.ticket}
        if name in ("declare-major", "major-roles"):
            return {"choices": self.choices, "present": self.major.commander_id if self.major else None}
        return {"ticket": self.ticket} if name == "comment" else {}

    def _now(self, name: str) -> dict[str, Any]:
        """What the ticket has now in the fields of a form that is filled with it."""
        if name == "edit":
            return forms.EditForm.current(self.ticket)
        return self._assignment() if name == "assign" else self._commander() if name == "major-roles" else {}

    def _commander(self) -> dict[str, str]:
        return {"commander": str((self.major.commander_id if self.major else None) or "")}

    def _assignment(self) -> dict[str, str]:
        return {"team": str(self.ticket.team_id or ""), "assignee": str(self.ticket.assignee_id or "")}

    def _related(self) -> dict[str, Any]:
        """Watchers, links in both directions, parent and children; of other tickets only visible ones."""
        ticket, actor = self.ticket, self.actor
        watchers = list(
            Watcher.objects.filter(tenant_id=actor.tenant_id, ticket_id=ticket.pk)
            .select_related("person")
            .order_by("person__name")
        )
        watching = any(watcher.person_id == actor.person_id for watcher in watchers)
        if not allows(actor, "ticket.manage_watchers", ticket):
            watchers = []
        if not allows(actor, "ticket.read_internal", ticket):
            return {"watchers": watchers, "watching": watching, "links": [], "parent": None, "children": []}
        links = list(
            TicketLink.objects.filter(tenant_id=actor.tenant_id, source_id=ticket.pk)
            | TicketLink.objects.filter(tenant_id=actor.tenant_id, target_id=ticket.pk)
        )
        wanted = {link.source_id for link in links} | {link.target_id for link in links} | {ticket.parent_id}
        tickets = visible_to(actor, Ticket.objects.all())
        others = {t.pk: t for t in tickets.filter(pk__in=wanted - {None, ticket.pk})}
        shown = []
        for link in sorted(links, key=lambda link: link.created_at):
            outgoing = link.source_id == ticket.pk
            other = others.get(link.target_id if outgoing else link.source_id)
            if other is not None:
                shown.append({"link": link, "other": other, "outgoing": outgoing})
        return {
            "watchers": watchers,
            "watching": watching,
            "links": shown,
            "parent": others.get(ticket.parent_id) if ticket.parent_id else None,
            "children": list(tickets.filter(parent_id=ticket.pk).order_by("number")[:50]),
        }
