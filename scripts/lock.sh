#!/bin/sh
# Write the lock files from pyproject.toml, each with the same versions as the one before it:
#   requirements.lock         what `make run` needs: Viable and the embedded engines
#   requirements-server.lock  what a server needs that has its engines elsewhere: the containers' image
#   requirements-dev.lock     all of it, and the tools
# One lock for all supported Pythons and platforms, with hashes; no address of an index is written into it.
set -eu
python=${1:-.venv/bin/python}
lock() {
    "$python" -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-annotate --custom-compile-command 'make lock' "$@"
}
lock pyproject.toml --group embedded --output-file requirements.lock
lock pyproject.toml --constraint requirements.lock --output-file requirements-server.lock
lock pyproject.toml --group embedded --group dev --constraint requirements.lock --output-file requirements-dev.lock
if grep -nE '^--|https?://' requirements*.lock; then
    echo "lock files must not name an index" >&2
    exit 1
fi
