"""The same SQL with nothing around it: pgbench, prepared statements, one transaction per operation."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.bench import statements
from scripts.bench.load import Result
from scripts.bench.operations import Sample
from scripts.bench.vocabulary import EVERY

_TICKET = (
    "(SELECT id FROM tickets_ticket WHERE tenant_id = current_setting('itsm.tenant')::uuid "
    "AND number = 'INC' || lpad((:n)::text, 7, '0'))"
)
_SEQUENCE = (
    "(SELECT last_sequence + 1 FROM tickets_ticket "
    f"WHERE tenant_id = current_setting('itsm.tenant')::uuid AND id = {_TICKET})"
)
_CLOCKS = (
    "ARRAY(SELECT id FROM sla_slaclock WHERE tenant_id = current_setting('itsm.tenant')::uuid "
    f"AND ticket_id = {_TICKET} AND state IN ('running', 'paused'))"
)
_PAYLOAD = '\'{"state": [null, 1], "impact": 2, "urgency": 2, "priority": 3, "channel": "api"}\''
_DIGEST = "'\\x" + "ab" * 32 + "'"


def _scripts(name: str, sample: Sample) -> list[str]:
    desk = sample.desk
    digest = hashlib.sha256(desk.tokens[0].encode()).hexdigest()
    values = {
        "hash": f"'\\x{digest}'",
        "tenant": f"'{desk.id}'",
        "person": f"'{desk.agents[0]}'",
        "team": "(ARRAY[" + ", ".join(f"'{team}'" for team in desk.teams) + "]::uuid[])[:m]",
        "service": f"'{desk.services[0]}'",
        "category": f"'{desk.categories[0]}'",
        "word": "(ARRAY[" + ", ".join(f"'{word}'" for word in EVERY) + "])[:w]",
        "impact": "2",
        "urgency": "2",
        "priority": "3",
        "title": "'A title of some length'",
        "now": "now()",
        "description": "'" + "Some words that describe what is wrong. " * 6 + "'",
        "digest": _DIGEST,
        "previous": _DIGEST,
        "salt": "'\\x" + "cd" * 16 + "'",
        "payload": _PAYLOAD,
        "token": "'token'",
        "request": "'request'",
        "state": ":s",
        "state_category": "CASE WHEN :s = 3 THEN 'waiting' ELSE 'active' END",
        "kind": "'incident.held'",
        "hold_reason": "CASE WHEN :s = 3 THEN 'awaiting_vendor' ELSE '' END",
        "sequence": _SEQUENCE,
        "event": ":event",
        "ticket": _TICKET,
        "tickets": f"ARRAY[{_TICKET}]",
        "calendar": f"'{desk.promises[0].calendar}'",
        "clocks": _CLOCKS,
    }
    for promised in desk.promises:
        values[f"{promised.metric}_policy"] = f"'{promised.policy}'"
        values[f"{promised.metric}_version"] = f"'{promised.version}'"
        values[f"{promised.metric}_clock"] = f":{promised.metric}"
    variables = [f"\\set n random(1, {desk.count})", f"\\set m random(1, {len(desk.teams)})", "\\set w random(1, 3)"]
    begin = ["BEGIN;", _written("ENTER", values), _written("TOKEN", values)]
    if name == "create":
        made = {**values, "ticket": ":ticket", "number": "'B' || :number"}
        number = _written("NUMBER", values).replace("RETURNING last_value;", "RETURNING last_value AS number \\gset")
        steps = [
            *(
                "SELECT uuidv7() AS ticket, uuidv7() AS event, uuidv7() AS response, uuidv7() AS resolution \\gset",
                "BEGIN;",
                _written("ENTER", values),
                number,
                "COMMIT;",
            ),
            *(*begin, _written("REFERENCES", values), _written("BOOK", values), _written("CREATE", made)),
        ]
    elif name == "verb":
        variables.append("\\set s random(2, 3)")
        steps = [
            "SELECT uuidv7() AS event \\gset",
            *begin,
            _written("LOCK", values),
            _written("CLOCKS", values),
            _written("VERB", values),
            _written("CHILDREN", values),
        ]
        steps.append(_written("LINKS", values))
    else:
        steps = [*begin, _written({"get": "GET", "list": "LIST", "search": "SEARCH"}[name], values)]
        steps.append(_written("LINKS", values))
    return [*variables, *steps, "COMMIT;"]


def _written(name: str, values: Mapping[str, str]) -> str:
    text = re.sub(r"\{(\w+)\}", lambda match: values[match.group(1)], getattr(statements, name))
    return " ".join(text.split()) + ";"


def run(name: str, chosen: Sequence[Sample], connections: int, seconds: float, folder: Path) -> Result:
    """What the database alone does. Raises RuntimeError with what pgbench complains of."""
    files: list[str] = []
    for sample in chosen:
        path = folder / f"{name}-{sample.desk.slug}.sql"
        path.write_text("\n".join(_scripts(name, sample)) + "\n", encoding="utf-8")
        files += ["-f", f"{path}@{max(1, sample.desk.count // 10)}"]
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(connections), "-j", "1"]
    command += [*files, "-l", f"--log-prefix={folder / 'log'}", os.environ["DATABASE_URL"]]
    for patience in (max(1, round(seconds)), 10):
        for old in folder.glob("log.*"):
            old.unlink()
        done = subprocess.run([*command, "-T", str(patience)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"pgbench failed at {name}:\n{done.stderr[-2000:]}\n{done.stdout[-500:]}")
        if "actually processed: 0\n" not in done.stdout:  # a disk that stalls for so long
            break
    result = Result()
    for path in folder.glob("log.*"):
        result.latencies += [int(line.split()[2]) / 1e6 for line in path.read_text().splitlines()]
    result.latencies.sort()
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None
    result.seconds = result.count / float(found.group(1))
    return result
