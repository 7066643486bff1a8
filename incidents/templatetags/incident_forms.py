"""Template words of the incident's forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from itsm.web.panes import BACK

register = template.Library()


@register.simple_tag(takes_context=True)
def sends(context: dict[str, Any], name: str) -> SafeString:
    """The attributes of a form that does one thing; beside a list it leads back there, and the script sends it."""
    url, back = reverse("incident-act", args=[context["ticket"].number, name]), context.get("back")
    if back is None:
        return format_html('method="post" action="{}"', url)
    # hx-push-url: the answer says by itself where the address leads now.
    attributes = 'method="post" action="{}?{}" hx-boost="true" hx-push-url="false"'
    return format_html(attributes, url, urlencode({BACK: back}))
