#!/bin/sh
# Back up a running Viable into a new folder: sh scripts/compose/backup.sh FOLDER
# The database is one consistent snapshot. Attachments are taken after it, so each one that it names is there.
set -eu
folder=${1:?usage: sh scripts/compose/backup.sh FOLDER}
if [ -e "$folder" ]; then
    echo "$folder is there already. Remedy: name a new folder." >&2
    exit 1
fi
umask 077
mkdir -p "$folder.part"
folder=$(cd "$folder.part" && pwd)
cd "$(dirname "$0")/../.."
docker compose exec -T db pg_dump --username=itsm_owner --format=custom viable >"$folder/database.dump"
docker compose exec -T web tar -c -C /var/lib/viable media >"$folder/media.tar"
mv "$folder" "${folder%.part}"
echo "${folder%.part}: $(du -sh "${folder%.part}" | cut -f1)"
