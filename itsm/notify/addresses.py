"""Addresses that stand in messages: absolute, and independent of who asked for what."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.urls import get_script_prefix, reverse

from itsm.tenancy.models import Tenant
from itsm.tickets.kinds import KINDS
from itsm.tickets.models import Ticket


def root_of(tenant: Tenant) -> str:
    """Where the pages of a tenant begin, without a slash at the end."""
    base = settings.PUBLIC_URL.rstrip("/")
    if tenant.host:
        return f"{urlsplit(base).scheme}://{tenant.host}"
    return f"{base}/t/{tenant.slug}"


def page(tenant: Tenant, name: str, *args: object) -> str:
    """The address of a page of the tenant by its URL name."""
    return root_of(tenant) + path(name, *args)


def path(name: str, *args: object) -> str:
    """The path of a page without any prefix, also when a request has one."""
    return "/" + reverse(name, args=args).removeprefix(get_script_prefix())


def ticket_page(tenant: Tenant, ticket: Ticket) -> str:
    """The page of a ticket; empty for a kind that has none."""
    kind = KINDS.get(ticket.kind)
    return page(tenant, kind.page, ticket.number) if kind else ""


def mail_domain() -> str:
    """What stands behind the @ of message ids and list ids."""
    return settings.DEFAULT_FROM_EMAIL.rsplit("@", 1)[-1].rstrip("> ") or "localhost"
