"""manage.py import_incidents FILE: load what another system recorded, as real incidents with their history."""

from __future__ import annotations

import resource
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from incidents.importing.cases import scan
from incidents.importing.mapping import SHIPPED, BadMapping, load_mapping, shipped
from incidents.importing.progress import progress
from incidents.importing.reader import Source, UnreadableFile
from incidents.importing.rejects import Rejects
from incidents.importing.run import BATCH, Import, Outcome
from itsm.kernel.errors import DomainError
from itsm.tenancy.management.tenants import tenant_called


class Command(BaseCommand):
    help = (
        "Import incidents with their history from a CSV or JSON lines file, plain or gzip. Repeat it after an "
        "interruption: it goes on where it stopped. docs/guides/importing.md: how to describe another system's columns."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the file to read")
        parser.add_argument("--tenant", required=True, help="slug of the service desk that gets the incidents")
        parser.add_argument("--format", choices=shipped(), help="a mapping that comes with the product")
        parser.add_argument("--mapping", help="a mapping file of your own (TOML or JSON)")
        parser.add_argument("--source", default="", help="name of the other system, when two of them share a mapping")
        parser.add_argument("--zone", default="", help="time zone of dates that name none, such as Europe/Berlin")
        parser.add_argument("--rejects", help="where to write what was refused (default: <file>.rejects.csv, here)")
        parser.add_argument(
            "--batch", type=int, default=BATCH, help=f"rows in one transaction, 1 to 10000 (default {BATCH})"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and write nothing")
        parser.add_argument(
            "--live",
            action="store_true",
            help="only incidents that are still open, opened now by the ordinary commands, not recorded as history",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        began, cpu = time.monotonic(), time.process_time()
        path = Path(options["file"])
        if not 1 <= options["batch"] <= 10_000:
            raise CommandError("--batch must be 1 to 10000.")
        tenant = tenant_called(options["tenant"])
        rejects_path = Path(options["rejects"]) if options["rejects"] else Path(f"{path.name}.rejects.csv")
        if rejects_path.exists() and path.exists() and rejects_path.samefile(path):
            raise CommandError("--rejects names the input file.")
        try:
            source = Source(path, self._mapping(options))
            found = scan(source)
            if not found.rows:
                raise CommandError(f"{path} has no rows.")
            write_rejects = bool(options["rejects"]) or not options["dry_run"]
            rejects = Rejects(rejects_path if write_rejects else None)
            work = Import(source, tenant.pk, rejects, batch=options["batch"], live=options["live"])
            try:
                with progress(found.rows, sys.stderr) as advance:
                    outcome = (work.rehearse if options["dry_run"] else work.run)(found, advance)
            finally:
                rejects.close()
        except (BadMapping, UnreadableFile) as error:
            raise CommandError(str(error)) from None
        except DomainError as error:
            raise CommandError(error.detail) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        except (DatabaseError, KeyboardInterrupt) as error:
            why = (str(error).splitlines() or ["interrupted"])[0]
            raise CommandError(f"Stopped: {why}. The same command goes on where this one stopped.") from None
        self._say(outcome, rejects, time.monotonic() - began, time.process_time() - cpu, dry=options["dry_run"])

    def _mapping(self, options: dict[str, Any]) -> Any:
        if bool(options["format"]) == bool(options["mapping"]):
            raise CommandError(f"Name a mapping: --format {'|'.join(shipped())}, or --mapping FILE.")
        path = Path(options["mapping"]) if options["mapping"] else SHIPPED / f"{options['format']}.toml"
        return load_mapping(path, zone=options["zone"], source=options["source"])

    def _say(self, outcome: Outcome, rejects: Rejects, seconds: float, cpu: float, *, dry: bool) -> None:
        would = "would be " if dry else ""
        say = self.stdout.write
        say(f"{outcome.rows:,} rows of {outcome.cases:,} cases read")
        say(f"{outcome.written:,} incidents with {outcome.events:,} events {would}written")
        if outcome.there:
            say(f"{outcome.there:,} cases were here already")
        if outcome.ended:
            say(f"{outcome.ended:,} cases have ended and were left out; import them without --live")
        if outcome.differing:
            say(f"{outcome.differing:,} of them differ from what was imported before and stay as they are")
        if outcome.refused_cases or outcome.refused_rows:
            say(f"{outcome.refused_cases:,} cases and {outcome.refused_rows:,} rows of no known case {would}refused")
        if rejects.codes:
            say("reasons: " + ", ".join(f"{code} {count:,}" for code, count in rejects.codes.most_common()))
            for reason in rejects.first:
                say(f"  {reason}")
            if rejects.path is not None:
                say(f"all of them are in {rejects.path}")
        if dry:
            say("states: " + ", ".join(f"{state} {count:,}" for state, count in outcome.states.most_common()))
            say("This was a dry run: nothing was written.")
        memory = _peak_memory()
        rate = outcome.events / seconds if seconds else 0
        say(f"{seconds:.1f} s ({cpu:.1f} s of CPU here), {rate:,.0f} events/s, {memory:,.0f} MB at most")


def _peak_memory() -> float:
    """The most memory that this program held so far, in MB.

    Linux keeps it for the program itself; getrusage() would count what the parent held when it started us.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
