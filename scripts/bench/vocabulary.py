"""The words that tickets are made of: as in a language, few are in nearly every text and most are in few."""

from __future__ import annotations

import random

SIZE = 4000
#: Words whose share is known: one ticket in 1500, in 130, in 8.
RARE, MID, COMMON = "zeppelin", "gateway", "printer"
EVERY = {RARE: 1500, MID: 130, COMMON: 8}
_SYLLABLES = [c + v for c in ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w") for v in "aeiou"]


def words() -> list[str]:
    """``SIZE`` different words, always the same ones; the first is the most frequent."""
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    found: dict[str, None] = {}
    while len(found) < SIZE:
        found["".join(chance.choices(_SYLLABLES, k=chance.choice((2, 2, 3, 4))))] = None
    return list(found)
