#!/bin/sh
# Make what docker compose needs and the repository cannot hold: passwords in secrets/, and .env. Changes nothing that is there.
set -eu
cd "$(dirname "$0")/../.."
umask 077
# The folder keeps everybody else on this machine out. The files are readable, because each process in a container reads
# its own ones, and only those, under an account of its own.
mkdir -p secrets
for name in secret_key postgres_password owner_password app_password platform_password valkey_password; do
    if [ ! -s "secrets/$name" ]; then
        head -c 48 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_' >"secrets/$name.new"
        chmod 444 "secrets/$name.new"
        mv "secrets/$name.new" "secrets/$name"
        echo "made secrets/$name"
    fi
done
# Read by the database's account, whatever this checkout was made with.
chmod a+r docs/operations/roles.sql
if [ ! -e .env ]; then
    cp .env.example .env
    echo "made .env: a trial over plain HTTP on this machine; what to change for others is written there"
fi
