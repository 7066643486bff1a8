"""Human numbers in addresses, for the pages of every practice: ``<number:number>``."""

from __future__ import annotations


class NumberConverter:
    """A human number such as INC0001001, whatever prefix the tenant gave it."""

    regex = "[A-Za-z][A-Za-z0-9-]{0,7}[0-9]{1,20}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
