-- Up Migration

-- Idempotent sends: what a sender's own message id stands for, kept 14 days.
create table cams.message_keys (
  sender_address text not null,
  sender_message_id text not null,
  message_id uuid not null,
  body_hash bytea not null,
  recipient_address text not null,
  accepted_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  kept_until timestamptz(3) not null,
  constraint message_keys_key primary key (sender_address, sender_message_id)
);

-- Idempotency-Key: the first answer of a call, kept 24 hours, committed with what it created.
create table cams.idempotency_keys (
  principal text not null,
  function text not null,
  key text not null,
  request_hash bytea not null,
  answer json,
  kept_until timestamptz(3) not null,
  constraint idempotency_keys_key primary key (principal, function, key)
);

-- Retention: what may go.
create index message_keys_kept_until on cams.message_keys (kept_until);
create index idempotency_keys_kept_until on cams.idempotency_keys (kept_until);

-- Down Migration

drop table cams.idempotency_keys;
drop table cams.message_keys;
