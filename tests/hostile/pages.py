"""Reading forms out of pages as a browser would send them, and parts of parcels as it never would."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Form:
    """A form of a page: where it goes, and each field with what it would send if nobody touched it."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    #: Fields with a fixed list of values: a select box, a radio button, a check box.
    chosen: set[str] = field(default_factory=set)

    @property
    def typed(self) -> list[str]:
        """The names that somebody may change; the CSRF token is not the form's own."""
        return [name for name in self.fields if name != "csrfmiddlewaretoken"]


class Reader(HTMLParser):
    """Forms of one page, and the names of the fields that the page marks as wrong."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.wrong: set[str] = set()
        self.errors: list[str] = []
        self._form: Form | None = None
        self._by_id: dict[str, Form] = {}
        self._select = self._area = ""
        self._needed = False
        self._in_errors = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        name = about.get("name", "")
        if tag == "ul" and "errorlist" in about.get("class", ""):
            self._in_errors = True
        if about.get("aria-invalid") == "true":
            self.wrong.add(name)
        if tag == "form":
            self._form = Form(about.get("action", ""), about.get("method", "get").lower())
            self.forms.append(self._form)
            self._by_id[about.get("id", "")] = self._form
            return
        form = self._by_id.get(about["form"]) if "form" in about else self._form
        if form is None or "disabled" in about:
            return
        if tag == "option" and self._select:
            empty = self._needed and not form.fields.get(self._select)
            if "selected" in about or self._select not in form.fields or empty:
                form.fields[self._select] = about.get("value", "")
        elif name and tag == "select":
            self._select, self._needed = name, "required" in about
            form.chosen.add(name)
        elif name and tag == "textarea":
            self._area = name
            form.fields[name] = "Something" if "required" in about else ""
        elif name and tag in {"input", "button"}:
            self._input(form, name, about)

    def _input(self, form: Form, name: str, about: dict[str, Any]) -> None:
        kind = about.get("type", "text").lower()
        if kind == "file":
            form.files.append(name)
        elif kind in {"checkbox", "radio"}:
            form.chosen.add(name)
            if "checked" in about or name not in form.fields:
                form.fields[name] = about.get("value", "on")
        elif kind not in {"submit", "reset", "button"}:
            form.fields.setdefault(name, about.get("value") or ("Something" if "required" in about else ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""
        elif tag == "ul":
            self._in_errors = False

    def handle_data(self, data: str) -> None:
        if self._area and self._form is not None:
            # HTML drops one line break after the opening tag.
            self._form.fields[self._area] += data.removeprefix("\r").removeprefix("\n")
        if self._in_errors and data.strip():
            self.errors.append(data.strip())


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """One part of a multipart/form-data body with the boundary ``b``, without any of a client's care for names."""
    about = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
    return f"--b\r\nContent-Disposition: {about}\r\n\r\n".encode() + content + b"\r\n"
