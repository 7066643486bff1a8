-- Roles, database and extensions of Viable.
--
-- Run it once, and again whenever you like (it changes nothing that is already right), with psql as a role that
-- may create roles and databases. It is the same file that the embedded PostgreSQL is prepared with.
--
--     export ITSM_OWNER_PASSWORD=… ITSM_APP_PASSWORD=… ITSM_PLATFORM_PASSWORD=…
--     psql -X -v ON_ERROR_STOP=1 -v database=viable -f roles.sql "postgresql://postgres@db.example.org/postgres"
--
-- Passwords are read from the environment, so that they appear in no process list. Needs psql 14, server 15 or
-- later. Then set, for Viable:
--     DATABASE_OWNER_URL=postgresql://itsm_owner:…@db.example.org/viable        only where migrations run
--     DATABASE_URL=postgresql://itsm_app:…@db.example.org/viable                web, worker, beat, sweeper
--     DATABASE_PLATFORM_URL=postgresql://itsm_platform:…@db.example.org/viable  worker
--
-- The three roles:
--   itsm_owner     owns database, schema and tables; runs migrations. Row-level security does not bind an owner,
--                  so no process that serves requests may know this password.
--   itsm_app       what web and worker are. Owns nothing, cannot bypass row-level security.
--   itsm_platform  what sweeps across tenants use (due timers). Sees only what a policy shows to it by name.

\set QUIET on
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\if :{?database}
\else
  \set database viable
\endif
\getenv itsm_owner_password ITSM_OWNER_PASSWORD
\getenv itsm_app_password ITSM_APP_PASSWORD
\getenv itsm_platform_password ITSM_PLATFORM_PASSWORD
\if :{?itsm_owner_password}
\else
  DO $$ BEGIN RAISE EXCEPTION 'set ITSM_OWNER_PASSWORD, ITSM_APP_PASSWORD and ITSM_PLATFORM_PASSWORD in the environment'; END $$;
\endif

-- Keep the passwords below out of the server's log (only a superuser may; elsewhere check log_statement).
SELECT rolsuper AS is_superuser FROM pg_roles WHERE rolname = current_user \gset
\if :is_superuser
  SET log_statement = 'none';
  SET log_min_error_statement = 'panic';
  SET log_min_duration_statement = -1;
\endif

-- 1. Roles ----------------------------------------------------------------------------------------------------
SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY['itsm_owner', 'itsm_app', 'itsm_platform']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE itsm_owner LOGIN NOCREATEROLE PASSWORD :'itsm_owner_password';
ALTER ROLE itsm_app LOGIN NOCREATEDB NOCREATEROLE PASSWORD :'itsm_app_password';
ALTER ROLE itsm_platform LOGIN NOCREATEDB NOCREATEROLE PASSWORD :'itsm_platform_password';
-- Only a superuser may touch these attributes, and only a superuser could have given them.
SELECT format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOREPLICATION', rolname)
  FROM pg_roles
 WHERE rolname IN ('itsm_owner', 'itsm_app', 'itsm_platform') AND (rolsuper OR rolbypassrls OR rolreplication) \gexec

-- 2. Database ---------------------------------------------------------------------------------------------------
-- To make a database owned by another role one must be able to act as that role; superusers always can.
SELECT format('GRANT itsm_owner TO %I', current_user)
 WHERE NOT pg_has_role(current_user, 'itsm_owner', 'USAGE') \gexec
SELECT format('CREATE DATABASE %I OWNER itsm_owner TEMPLATE template0 ENCODING ''UTF8''', :'database')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO itsm_app, itsm_platform;

\connect :"database"
SET client_min_messages = warning;

-- 3. Schema: only the owner makes objects; the others see what migrations grant them --------------------------------
ALTER SCHEMA public OWNER TO itsm_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO itsm_app, itsm_platform;

-- 4. Extensions ("trusted": the owner of the database may create them, too) -----------------------------------------
CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS unaccent WITH SCHEMA public;

-- 5. Search under row-level security ----------------------------------------------------------------------------
-- A condition may use an index under row-level security only if its operator is marked as not leaking values.
-- These are plain matching functions; with the mark, searching stays as fast as without row-level security.
-- Only a superuser may set it, and a dump does not carry it: run this file again after a restore. Where there is
-- no superuser (managed PostgreSQL), Viable searches another way by itself.
SELECT format('ALTER FUNCTION %s LEAKPROOF', oid::regprocedure)
  FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace
   AND proname IN ('ts_match_vq', 'textlike', 'texticlike', 'jsonb_contains', 'jsonb_exists', 'arrayoverlap', 'arraycontains')
   AND NOT proleakproof
   AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \gexec
