"""The word index and the one function that reads it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.operations import BtreeGinExtension
from django.db import migrations

from itsm.tenancy.sql import definer_function

SEARCH = """
WITH asked AS (
  SELECT CASE WHEN q::text LIKE '%''' THEN (q::text || ':*')::tsquery ELSE q END AS q
  FROM websearch_to_tsquery('simple', query) AS q
)
SELECT DISTINCT s.ticket_id
FROM asked, tickets_ticketsearch s
JOIN tickets_ticket t ON t.tenant_id = s.tenant_id AND t.id = s.ticket_id
CROSS JOIN LATERAL (SELECT coalesce(t.team_id = ANY (hidden), false) AS is_hidden) AS team
WHERE s.tenant_id = current_setting('itsm.tenant')::uuid
  AND s.tsv @@ asked.q
  AND (s.audience = 'public'
    OR ((internal_kinds IS NULL OR t.kind = ANY (internal_kinds)) AND NOT team.is_hidden))
  AND (t.requester_id = person
    OR ((kinds IS NULL OR t.kind = ANY (kinds)) AND NOT team.is_hidden)
    OR (NOT team.is_hidden AND EXISTS (
      SELECT 1 FROM tickets_watcher w
      WHERE w.tenant_id = t.tenant_id AND w.ticket_id = t.id AND w.person_id = person)))
ORDER BY s.ticket_id DESC
LIMIT most
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tickets", "0001_initial")]

    operations: ClassVar = [
        BtreeGinExtension(),
        migrations.RunSQL(
            "ALTER TABLE tickets_ticketsearch ADD COLUMN tsv tsvector "
            "GENERATED ALWAYS AS (to_tsvector('simple', words)) STORED",
            "ALTER TABLE tickets_ticketsearch DROP COLUMN tsv",
        ),
        migrations.RunSQL(
            "CREATE INDEX ticket_search_words ON tickets_ticketsearch USING gin (tenant_id, tsv)",
            "DROP INDEX ticket_search_words",
        ),
        # A hot row per tenant and kind: room on the page lets its updates stay there.
        migrations.RunSQL(
            "ALTER TABLE tickets_numberseries SET (fillfactor = 50)",
            "ALTER TABLE tickets_numberseries RESET (fillfactor)",
        ),
        definer_function(
            "itsm_search(query text, kinds text[], internal_kinds text[], hidden uuid[], person uuid, most integer)",
            SEARCH,
            returns="TABLE (ticket_id uuid)",
        ),
    ]
