"""What a person sees: steps with their time, and the lines of the children's logs that matter."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

COLOURS = {"web": "36", "worker": "35", "beat": "34", "sweeper": "32", "postgres": "33", "valkey": "31"}
LOG_LIMIT = 20_000_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LEVEL = re.compile(r"\b(DEBUG|INFO|NOTICE|WARNING|ERROR|FATAL|CRITICAL|PANIC)\b")

LineFilter = Callable[[str], bool]


def level_filter(*, plain_shown: bool) -> LineFilter:
    """Make a filter that hides lines of level INFO and below.

    A line without a level (a traceback goes on) shares the fate of the one before it; `plain_shown` is its fate
    at the beginning and after INFO lines.
    """
    shown = plain_shown

    def wanted(line: str) -> bool:
        nonlocal shown
        level = _LEVEL.search(line[:160])
        if level is None:
            if not line.strip():
                shown = plain_shown
            return shown
        if level[1] in ("DEBUG", "INFO", "NOTICE"):
            shown = plain_shown
            return False
        shown = True
        return True

    return wanted


def postgres_filter(line: str) -> bool:
    """Show what the server itself finds grave; statements that failed are the application's to report."""
    return bool(re.search(r"\b(PANIC|FATAL):", line[:160])) and "terminating connection" not in line


def everything(line: str) -> bool:
    """Show every line."""
    return True


def nothing(line: str) -> bool:
    """Show no line; the log file has them."""
    return False


class Console:
    """Writes to the terminal; a terminal that went away never stops the services."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.stream = stream if stream is not None else sys.stdout
        self.quiet = quiet
        self.interactive = self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.colour = self.interactive and not os.environ.get("NO_COLOR")
        self._open_step = ""
        if hasattr(self.stream, "reconfigure"):
            self.stream.reconfigure(errors="replace")

    def _write(self, text: str) -> None:
        # A broken pipe or a closed terminal: the logs go on in their files.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text)
            self.stream.flush()

    def say(self, text: str = "", *, always: bool = False) -> None:
        """Print a line (not in quiet mode, unless `always`)."""
        if self.quiet and not always:
            return
        clear = "\r\033[K" if self._open_step else ""
        self._write(f"{clear}{text}\n{self._open_step}")

    def tint(self, text: str, code: str) -> str:
        """Colour a text where colours are shown."""
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show that something is being done, and how long it took when it is done.

        Yields a function that shows how far it is, on a terminal.
        """
        begun = time.monotonic()
        width = shutil.get_terminal_size().columns

        def progress(detail: str) -> None:
            if self.interactive and not self.quiet:
                shown = f"  … {text}" + (f"  {time.monotonic() - begun:3.0f} s  {detail}" if detail else "")
                self._open_step = _CONTROL.sub("", shown)[: width - 1]
                self._write(f"\r\033[K{self._open_step}")

        progress("")
        try:
            yield progress
        except BaseException:
            self._open_step = ""
            self.say(f"{chr(13) if self.interactive else ''}  {self.tint('✗', '31')} {text}")
            raise
        self._open_step = ""
        lead = "\r\033[K" if self.interactive else ""
        self.say(f"{lead}  {self.tint('✓', '32')} {text:<46} {time.monotonic() - begun:6.1f} s")

    def child_line(self, name: str, line: str) -> None:
        """Print a line of a child's log under its name."""
        label = self.tint(f"{name:<8}", COLOURS.get(name, "0"))
        self.say(f"{label} | {_CONTROL.sub('', line)}")


class LogTail:
    """Follows one log file from its present end.

    Children write to files, not to a pipe of ours: a terminal held with Ctrl-S, or our own death, must not block
    or break them.
    """

    def __init__(self, name: str, path: Path, wanted: LineFilter) -> None:
        self.name, self.path, self.wanted = name, path, wanted
        self._position = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def lines(self) -> list[str]:
        """Return the new lines that are to be shown; turn the file over when it has become too long."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return []
        if size < self._position:
            self._position = 0
        if size == self._position:
            return []
        with self.path.open("rb") as file:
            file.seek(self._position)
            data = file.read(1_000_000)
        self._position += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-100_000:]
        if self._position >= LOG_LIMIT:
            self._turn_over()
        return [text for raw in whole if self.wanted(text := raw.decode(errors="replace").rstrip("\r"))]

    def _turn_over(self) -> None:
        # The writers have the file open for appending, so they go on at its new end.
        with contextlib.suppress(OSError):
            shutil.copyfile(self.path, self.path.with_name(self.path.name + ".1"))
            os.truncate(self.path, 0)
            self._position = 0
