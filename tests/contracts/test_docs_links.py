"""What the documents point at is there: files, headings, make targets, management commands, modules that are run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^()\s>]+(?:\([^()\s]*\))?)>?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```\s*$", re.MULTILINE | re.DOTALL)
#: A line of code by indentation, not the second line of a list entry (those are indented by less than four).
_INDENTED = re.compile(r"^ {4}.*$", re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")
_MAKE = re.compile(r"(?<![\w/.-])make ([a-z][a-z-]*)")
_MANAGE = re.compile(r"manage\.py ([a-z][a-z_]*)|DO='([a-z][a-z_]*)")
_MODULE = re.compile(r"python3? -m ((?:config|itsm|incidents|tests|scripts)[\w.]*)")


def prose(page: Path) -> str:
    """The page without its code, where square brackets and parentheses are no links."""
    text = _INDENTED.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    return _SPAN.sub(lambda found: found[1] if "](" not in found[1] else "", text)


def code(page: Path) -> str:
    """Everything on the page that somebody might type."""
    text = page.read_text(encoding="utf-8")
    return "\n".join([*_FENCE.findall(text), *_INDENTED.findall(text), *_SPAN.findall(text)])


@cache
def anchors(page: Path) -> frozenset[str]:
    """The fragments of the page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in _HEADING.findall(_INDENTED.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return frozenset(found)


def broken(page: Path) -> Iterator[str]:
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{link}: there is no such file"
        elif path and not target.is_relative_to(ROOT):
            yield f"{link}: leads out of the repository"
        elif fragment and (target.suffix != ".md" or fragment not in anchors(target)):
            yield f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_is_to_be_typed_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    typed = code(page)
    assert set(_MAKE.findall(typed)) - targets == set()
    assert {first or second for first, second in _MANAGE.findall(typed)} - set(get_commands()) == set()
    for module in _MODULE.findall(typed):
        place = ROOT.joinpath(*module.rstrip(".").split("."))
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


def test_a_broken_page_is_noticed(tmp_path: Path) -> None:
    page = ROOT / "docs" / "guides" / "agents.md"
    assert "the-queue" in anchors(page)
    assert "what-to-do-when-" in anchors(ROOT / "docs" / "guides" / "operators.md")
    bad = tmp_path / "bad.md"
    bad.write_text("# A\n[x](nowhere.md) [y](#b) [z](#a) `[no](link)`\n\n    [nor](this)\n", encoding="utf-8")
    assert list(broken(bad)) == ["nowhere.md: there is no such file", "#b: there is no such heading"]
    assert _MAKE.findall(code(bad) + "make nothing-of-it") == ["nothing-of-it"]


def test_every_page_is_reached_from_the_readme() -> None:
    """By links, or by the folder of decisions: a page that nobody is led to is read by nobody."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in _LINK.findall(prose(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file():
                waiting.append(target)
            elif target.is_dir():
                waiting += sorted(target.glob("*.md"))
    assert {page.relative_to(ROOT).as_posix() for page in PAGES} - {
        p.relative_to(ROOT).as_posix() for p in seen
    } == set()
