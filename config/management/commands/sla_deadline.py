"""manage.py sla_deadline: when is it due? Arithmetic on a calendar file; asks no database and no clock."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError

from itsm.kernel.errors import Invalid
from itsm.sla.calendar import BusinessTime, from_micros
from itsm.sla.calendar_file import read_hours
from itsm.sla.targets import read_instant, read_pause, read_target

_FILE_MAX = 2 * 1024 * 1024


class Command(BaseCommand):
    help = (
        "Print the deadline of a target on a calendar: first in the calendar's zone, then in UTC; or never, or paused."
    )
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--calendar", required=True, type=Path, help="the JSON that calendar export gives")
        parser.add_argument(
            "--at", required=True, help="when it starts, ISO 8601; without an offset in the calendar's zone"
        )
        parser.add_argument("--target", required=True, help="4h, 1h30m, 90s, or 2bd for business days")
        parser.add_argument(
            "--pause",
            action="append",
            default=[],
            metavar="FROM/TO",
            help="does not count; TO may be left out; repeatable",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            hours = read_hours(_json(options["calendar"]))
            start = read_instant("at", options["at"], hours.zone)
            target = read_target(options["target"])
            pauses = [read_pause(text, hours.zone) for text in options["pause"]]
        except Invalid as error:
            raise CommandError(
                "\n".join(f"{problem.pointer}: {problem.detail}" for problem in error.problems)
            ) from None
        due = target.deadline(BusinessTime(hours), start, pauses)
        if due is None:
            lasts = any(end is None for _, end in pauses) and target.deadline(BusinessTime(hours), start) is not None
            self.stdout.write("paused" if lasts else "never")
            return
        for zone in (hours.zone, ZoneInfo("UTC")):
            self.stdout.write(f"{from_micros(due, zone).isoformat()} {zone.key}")


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _FILE_MAX:
            raise CommandError(f"{path} is larger than {_FILE_MAX} bytes: this is no calendar.")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}.") from None
