"""Configuration of a tenant, by stock Django admin: what it shows and saves, and nothing of its own rules or log."""

from itsm.web.admin import desk, escalation, log, notifying, oncall, people, sla
from itsm.web.admin.sites import site

__all__ = ["desk", "escalation", "log", "notifying", "oncall", "people", "site", "sla"]
