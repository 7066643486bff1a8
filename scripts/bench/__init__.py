"""Viable beside a hand-written endpoint and beside the bare SQL, on one database. See docs/operations/benchmarks.md."""
