-- Up Migration

-- Readiness asks whether the newest migration of the code is in the database.
grant usage on schema cams to cams_reader;
grant select (name) on cams.migrations to cams_reader;

-- Down Migration

revoke select (name) on cams.migrations from cams_reader;
revoke usage on schema cams from cams_reader;
