"""manage.py sla_sweeper: fire clocks within a fraction of a second, whatever the queue does. Any number may run."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config import heartbeat
from itsm.sla import loop
from itsm.tenancy.audit import refuse_unless_safe


class Command(BaseCommand):
    help = "Fire due clocks in a loop until told to stop. Any number of these may run beside each other and beside workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unless_safe()
        if options["once"]:
            loop.once()
            return
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        loop.run(stop.is_set, alive=heartbeat.touch if settings.HEARTBEAT_PATH else lambda: None, wait=stop.wait)
