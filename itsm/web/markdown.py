"""What people write, as harmless HTML."""

from __future__ import annotations

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"]).disable("image")
_TAGS = {
    "p",
    "br",
    "strong",
    "em",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}
_SCHEMES = {"http", "https", "mailto"}


def to_html(text: str) -> SafeString:
    """Markdown as HTML without images, scripts, styles and foreign schemes. Raw HTML stays visible as text."""
    html = nh3.clean(
        _PARSER.render(text),
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=_SCHEMES,
        link_rel="nofollow noopener noreferrer",
        attribute_filter=_only_absolute,
    )
    return mark_safe(html)  # noqa: S308 - nh3 has just cleaned it


def _only_absolute(element: str, attribute: str, value: str) -> str | None:
    """A link must say where it leads: relative ones would act inside this site."""
    if attribute == "href" and value.partition(":")[0].lower() not in _SCHEMES:
        return None
    return value
