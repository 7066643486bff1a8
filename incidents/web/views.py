"""The pages of incidents: log one, read one with its story, act on it, and one's own requests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from incidents.commands import open_incident
from incidents.flow import KIND
from incidents.web import forms
from incidents.web.actions import ACTIONS
from incidents.web.page import IncidentPage
from itsm.access.decide import authorize, visible_to
from itsm.doors.downloads import download_of
from itsm.doors.problems import status_of
from itsm.kernel.actor import Actor
from itsm.kernel.errors import Conflict, DomainError, Forbidden, NotFound
from itsm.tickets import queue
from itsm.tickets.commands import attach_file, refuse_unfit
from itsm.tickets.files import readable_files
from itsm.tickets.models import Ticket
from itsm.web.pages import TenantRequest, refused, tenant_page
from itsm.web.panes import list_url


def find(actor: Actor, number: str) -> Ticket:
    """The incident with this human number. Raises NotFound for an unknown or invisible one."""
    related = ("requester", "opened_by", "assignee", "team", "service", "category")
    tickets = visible_to(actor, Ticket.objects.select_related(*related))
    ticket: Ticket | None = tickets.filter(number=number.upper(), kind=KIND).first()
    if ticket is None:
        raise NotFound
    return ticket


@tenant_page
@require_safe
def incident(request: TenantRequest, number: str) -> HttpResponse:
    """The incident with its story and with what may be done now."""
    return IncidentPage(request, find(request.actor, number)).response()


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: TenantRequest, number: str, name: str) -> HttpResponseBase:
    """Do one thing. A refusal shows the page again with everything that was typed; success leads back to the page."""
    action = ACTIONS.get(name)
    if action is None:
        raise Http404
    ticket = find(request.actor, number)
    if request.method != "POST":
        return redirect("incident", ticket.number)
    # The right before the shape: the page that names a mistake shows the form, with the people and teams it offers.
    authorize(request.actor, action.permission, ticket)
    page = IncidentPage(request, ticket)
    form = page.bind(name)
    if not form.is_valid():
        return page.response(400)
    try:
        shown = action.run(request.actor, ticket, form.cleaned_data, form) or ticket
    except Forbidden:
        # What the page never offered is no mistake in a form: the plain refusal, with its right.
        raise
    except Conflict as error:
        refused(request, error)
        page = IncidentPage(request, find(request.actor, number))
        page.conflict(name, form)
        return page.response(status_of(error))
    except DomainError as error:
        refused(request, error)
        form.refuse(error)
        return page.response(status_of(error))
    # The tag tells the script of the page that a draft has become a comment.
    messages.success(request, f"{shown.number}: {action.done}", extra_tags=f"done-{name}")
    # Handed to a restricted team, it is out of sight now.
    visible = visible_to(request.actor, Ticket.objects.filter(pk=shown.pk)).exists()
    if page.back is not None:
        return redirect(list_url(page.back, shown.number if visible else ""))
    return redirect("incident", shown.number) if visible else redirect("home")


@tenant_page
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: TenantRequest) -> HttpResponseBase:
    """Log an incident."""
    authorize(request.actor, "incident.create", process=KIND)
    if request.method != "POST":
        return render(request, "incidents/new.html", {"form": forms.NewForm(actor=request.actor)})
    form = forms.NewForm(request.POST, request.FILES, actor=request.actor)
    status = 400
    if form.is_valid():
        try:
            ticket = _open(request.actor, form.cleaned_data)
        except DomainError as error:
            refused(request, error)
            form.refuse(error)
            status = status_of(error)
        else:
            messages.success(request, _("%(number)s is logged.") % {"number": ticket.number})
            if not visible_to(request.actor, Ticket.objects.filter(pk=ticket.pk)).exists():
                return redirect("home")
            return redirect("incident", ticket.number)
    return render(request, "incidents/new.html", {"form": form}, status=status)


def _open(actor: Actor, data: dict[str, Any]) -> Ticket:
    requester, upload = data.get("requester"), data["file"]
    if upload:
        refuse_unfit(actor, name=upload.name, content=upload.file, size=upload.size)
    ticket = open_incident(
        actor=actor,
        title=data["title"],
        description=data["description"],
        impact=data["impact"],
        urgency=data["urgency"],
        requester_id=requester.pk if requester else None,
        service_id=data["service"],
        category_id=data["category"],
        team_id=data.get("team"),
        assignee_id=data.get("assignee"),
    )
    if upload:
        attach_file(actor=actor, ticket_id=ticket.pk, name=upload.name, content=upload.file, size=upload.size)
    return ticket


@tenant_page
@require_safe
def mine(request: TenantRequest) -> HttpResponse:
    """What I asked for, changed last first."""
    given = {"requester": ["me"], "sort": ["-updated"], "after": [request.GET.get("after", "")]}
    page = queue.page(request.actor, queue.parse(request.actor, given))
    return render(request, "incidents/mine.html", {"page": page, "later": bool(request.GET.get("after"))})


@tenant_page
@require_safe
def download(request: TenantRequest, number: str, file_id: UUID) -> HttpResponseBase:
    """A file of an incident, inert: saved, never shown, and without any right if a browser shows it all the same."""
    ticket = find(request.actor, number)
    file = readable_files(request.actor, ticket).filter(pk=file_id).first()
    if file is None:
        raise NotFound
    return download_of(file)
