-- Up Migration

-- Who may call, and as what. `system` is not among the roles: it comes from the configuration alone.
create table cams.principals (
  principal_id text not null,
  role text not null,
  team text,
  -- Patterns: `*` stands for any characters.
  addresses text[] not null default '{}',
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  updated_by text not null,
  revision integer not null default 1,
  constraint principals_key primary key (principal_id),
  constraint principals_id check (char_length(principal_id) between 1 and 255 and principal_id !~ '\s'),
  constraint principals_role check (role in ('agent', 'operator', 'admin'))
);

-- Lists: newest first.
create index principals_newest on cams.principals (created_at, principal_id);

-- Keys of principals: of the secret only its SHA-256 is kept.
create table cams.api_keys (
  key_id uuid not null,
  principal_id text not null,
  secret_hash bytea not null,
  description text,
  -- Patterns it is limited to; null: those of its principal.
  addresses text[],
  expires_at timestamptz(3),
  created_at timestamptz(3) not null,
  created_by text not null,
  constraint api_keys_key primary key (key_id),
  constraint api_keys_principal foreign key (principal_id) references cams.principals on delete cascade,
  constraint api_keys_hash_is_sha256 check (octet_length(secret_hash) = 32)
);

-- A principal's keys: to show them, and to delete them with it.
create index api_keys_principal on cams.api_keys (principal_id);

-- Whoever lets callers in reads them; what administrators do runs as the operator's role.
grant select on cams.principals, cams.api_keys to cams_agent, cams_operator, cams_system;
grant insert, update, delete on cams.principals to cams_operator;
grant insert, delete on cams.api_keys to cams_operator;
grant select, insert, update on cams.idempotency_keys to cams_operator;
grant execute on function cams.iso(timestamptz) to cams_operator;

-- Down Migration

revoke all on cams.idempotency_keys from cams_operator;
revoke all on function cams.iso(timestamptz) from cams_operator;
drop table cams.api_keys;
drop table cams.principals;
