"""Django's migrate, on the owner's connection: the role that the app runs as may not touch the schema."""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import CommandParser
from django.core.management.commands import migrate


class Command(migrate.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=settings.DATABASE_ALIASES["owner"])
