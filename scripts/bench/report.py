"""From figures to tables: on the terminal and, between two marks, in docs/operations/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations" / "benchmarks.md"
FIGURES = PAGE.with_suffix(".json")
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
#: CPU per request at concurrency 8, in times of raw; for the page in milliseconds.
GATES = {"create": 6.0, "get": 6.0, "verb": 5.0, "list": 5.0, "search": 2.5, "page": 12.0}
TITLES = {
    "create": "create",
    "get": "get",
    "verb": "verb (hold, resume)",
    "list": "list 50, filtered",
    "search": "search, top 50",
    "page": "queue page, HTML",
}


def line(row: dict[str, Any]) -> str:
    """A row on the terminal, as it is measured."""
    return (
        f"{row['operation']:<7} {row['target']:<7} c={row['clients']}  {row['rate']:>8.1f}/s  "
        f"p50 {row['p50']:>7.2f}  p95 {row['p95']:>7.2f}  p99 {row['p99']:>7.2f} ms  "
        f"CPU {row['cpu']:>6.2f} ms (app {row['app']:.2f} db {row['database']:.2f} cache {row['cache']:.2f})"
        + (f"  {row['statements']} statements" if row["statements"] is not None else "")
    )


def ratio(rows: list[dict[str, Any]], name: str) -> float | None:
    """CPU per request at concurrency 8 in times of raw; of the page in milliseconds."""
    cpu = {row["target"]: row["cpu"] for row in rows if row["operation"] == name and row["clients"] == 8}
    if "viable" not in cpu:
        return None
    return float(cpu["viable"]) if name == "page" else float(cpu["viable"] / cpu["raw"])


def text(document: dict[str, Any]) -> str:
    """One run as Markdown."""
    rows = document["rows"]
    out = [
        f"### {document['size']:,} tickets".replace(",", " "),
        "",
        f"{document['when']}, {document['machine']}. First answer {document['start_seconds']} s after the start, "
        f"{document['worker_mb']} MB (PSS) in the larger worker after the run.",
        "",
        "| operation | CPU, times of raw | gate | statements (raw) |",
        "|---|---|---|---|",
    ]
    for name, title in TITLES.items():
        if (value := ratio(rows, name)) is None:
            continue
        counted = {r["target"]: r["statements"] for r in rows if r["operation"] == name and r["statements"] is not None}
        unit = " ms" if name == "page" else "×"
        raw = f" ({counted['raw']:g})" if "raw" in counted else ""
        verdict = "" if value <= GATES[name] else " **missed**"
        out.append(f"| {title} | {value:.2f}{unit}{verdict} | ≤ {GATES[name]:g}{unit} | {counted['viable']:g}{raw} |")
    out += [
        "",
        "| operation | | clients | req/s | p50 ms | p95 ms | p99 ms | CPU ms | of it app | database | cache |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        out.append(
            f"| {TITLES[row['operation']]} | {row['target']} | {row['clients']} | {row['rate']:.0f} | {row['p50']:.2f} "
            f"| {row['p95']:.2f} | {row['p99']:.2f} | {row['cpu']:.2f} | {row['app']:.2f} | {row['database']:.2f} "
            f"| {row['cache']:.2f} |"
        )
    return "\n".join([*out, ""])


def growth(runs: dict[str, dict[str, Any]]) -> str:
    """The database's part of lists and searches at every size that was measured, side by side."""
    sizes = sorted((int(size) for size, run in runs.items() if run["growth"]))
    if not sizes:
        return ""
    by_size = {size: {(g["what"], g["tenant"]): g for g in runs[str(size)]["growth"]} for size in sizes}
    heads = " | ".join(f"{size:,}".replace(",", " ") for size in sizes)
    out = [
        "### As it grows",
        "",
        f"| ms in the database (buffers) | tenant | {heads} |",
        "|---|---|" + "---|" * len(sizes),
    ]
    for what, tenant in by_size[sizes[-1]]:
        cells = [by_size[size].get((what, tenant)) for size in sizes]
        shown = " | ".join("" if cell is None else f"{cell['ms']:.2f} ({cell['buffers']})" for cell in cells)
        out.append(f"| {what} | {tenant} | {shown} |")
    return "\n".join([*out, ""])


def write(document: dict[str, Any], page: Path) -> None:
    """Keep the figures of this size, and write the page's tables anew."""
    figures = page.with_suffix(".json")
    runs = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else {}
    runs[str(document["size"])] = document
    runs = {size: runs[size] for size in sorted(runs, key=int)}
    figures.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    tables = "\n".join([*(text(run) for run in runs.values() if run["rows"]), growth(runs)])
    page.write_text(between(page.read_text(encoding="utf-8"), BEGIN, END, tables), encoding="utf-8")


def between(page: str, begin: str, end: str, tables: str) -> str:
    """The page with these tables between its two marks."""
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n\n{tables}\n{end}{rest.partition(end)[2]}"
