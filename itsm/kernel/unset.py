"""The difference between "leave it" and "make it empty"."""

from enum import Enum
from typing import Final, Literal


class Unset(Enum):
    """The type of UNSET, so that type checkers can tell it from None."""

    TOKEN = "unset"  # noqa: S105 - a marker, not a secret


UNSET: Final[Literal[Unset.TOKEN]] = Unset.TOKEN
