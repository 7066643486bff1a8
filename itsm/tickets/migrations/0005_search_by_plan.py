"""Search gets a plan for each question.

Measured at a million tickets, the old function took up to 2.8 s for a common word: its plan was made for any word, gathered
all hits of the tenant, joined every one with its ticket, and sorted them, to give the newest. A common word is best looked for
from the newest ticket on, a rare one in the word index; which is which tell the statistics of the words, if there are enough.
"""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

from django.db import migrations

from itsm.tenancy.sql import definer_function

SEARCH = """
#variable_conflict use_column
DECLARE
  here uuid := current_setting('itsm.tenant')::uuid;
  asked tsquery := websearch_to_tsquery('simple', query);
  -- Whoever sees everything needs no look at the tickets themselves.
  ticket text := '';
  visible text := '';
  place text := 'tickets_ticketsearch';
BEGIN
  IF asked::text LIKE '%''' THEN
    asked := (asked::text || ':*')::tsquery;
  END IF;
  IF kinds IS NOT NULL OR internal_kinds IS NOT NULL OR hidden <> '{}' THEN
    ticket := 'JOIN tickets_ticket t ON t.tenant_id = s.tenant_id AND t.id = s.ticket_id '
      'CROSS JOIN LATERAL (SELECT coalesce(t.team_id = ANY ($5), false) AS is_hidden) AS team ';
    visible := 'AND (s.audience = ''public'' OR (($4 IS NULL OR t.kind = ANY ($4)) AND NOT team.is_hidden)) '
      'AND (t.requester_id = $6 OR (($3 IS NULL OR t.kind = ANY ($3)) AND NOT team.is_hidden) '
      'OR (NOT team.is_hidden AND EXISTS (SELECT 1 FROM tickets_watcher w '
      'WHERE w.tenant_id = t.tenant_id AND w.ticket_id = t.id AND w.person_id = $6))) ';
  END IF;
  -- The index gathers the hits of all tenants for the beginning of a word. Few tickets are read faster one by one.
  IF (SELECT sum(last_value) FROM tickets_numberseries WHERE tenant_id = here) < 15000 THEN
    place := '(SELECT tenant_id, ticket_id, audience, tsv FROM tickets_ticketsearch WHERE tenant_id = $1 '
      'ORDER BY ticket_id DESC OFFSET 0)';
  END IF;
  RETURN QUERY EXECUTE 'SELECT DISTINCT s.ticket_id FROM ' || place || ' s ' || ticket
    || 'WHERE s.tenant_id = $1 AND s.tsv @@ $2 ' || visible || 'ORDER BY s.ticket_id DESC LIMIT $7'
    USING here, asked, kinds, internal_kinds, hidden, person, most;
END
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("tickets", "0004_names")]

    operations: ClassVar = [
        # 10 000 words instead of 1000 whose frequency is known.
        migrations.RunSQL(
            "ALTER TABLE tickets_ticketsearch ALTER COLUMN tsv SET STATISTICS 1000",
            "ALTER TABLE tickets_ticketsearch ALTER COLUMN tsv SET STATISTICS -1",
        ),
        migrations.RunSQL("ANALYZE tickets_ticketsearch (tsv)", migrations.RunSQL.noop),
        definer_function(
            "itsm_search(query text, kinds text[], internal_kinds text[], hidden uuid[], person uuid, most integer)",
            SEARCH,
            returns="TABLE (ticket_id uuid)",
            language="plpgsql",
            # The index is in memory, or on a disk that need not turn.
            settings="SET random_page_cost = 1.1",
            replaces=import_module("itsm.tickets.migrations.0002_search").Migration.operations[-1],
        ),
    ]
