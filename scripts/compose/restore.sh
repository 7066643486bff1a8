#!/bin/sh
# Bring a backup back, into an empty installation or in place of what is there: sh scripts/compose/restore.sh FOLDER
# It goes into a new database, which takes the old one's place when it is whole. The old one is kept beside it.
set -eu
folder=${1:?usage: sh scripts/compose/restore.sh FOLDER}
for file in database.dump media.tar; do
    if [ ! -f "$folder/$file" ]; then
        echo "$folder/$file is missing: this is not a backup made by backup.sh." >&2
        exit 1
    fi
done
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/../.."
new=viable_restored
old=viable_before_$(date -u +%Y%m%d%H%M%S)
sql() { docker compose exec -T db psql --username=postgres -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

docker compose up --detach --wait db
sql --command="DROP DATABASE IF EXISTS $new"
docker compose run --rm --env DATABASE_NAME=$new roles
docker compose exec -T db pg_restore --username=postgres --dbname=$new --exit-on-error --single-transaction \
    <"$folder/database.dump"
docker compose stop web worker beat sweeper
docker compose run --rm --no-deps -T web tar -x -C /var/lib/viable <"$folder/media.tar"
if [ "$(sql --command="SELECT count(*) FROM pg_database WHERE datname = 'viable'")" = 1 ]; then
    sql --command="BEGIN; ALTER DATABASE viable RENAME TO $old; ALTER DATABASE $new RENAME TO viable; COMMIT"
    echo "What was there is kept as the database $old. When nobody misses it:"
    echo "  docker compose exec db dropdb --username=postgres $old"
else
    sql --command="ALTER DATABASE $new RENAME TO viable"
fi
docker compose up --detach --wait
