#!/bin/sh
# Write requirements.lock (what runs) and requirements-dev.lock (what runs, and the tools) from pyproject.toml.
# One lock for all supported Pythons and platforms, with hashes; no address of an index is written into it.
set -eu
python=${1:-.venv/bin/python}
lock() {
    "$python" -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --custom-compile-command 'make lock' "$@"
}
lock pyproject.toml --output-file requirements.lock
lock pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
if grep -nE '^--|https?://' requirements.lock requirements-dev.lock; then
    echo "lock files must not name an index" >&2
    exit 1
fi
