import { type Sql, sql } from "../db/sql.ts";

/** An inbox row as the API shows it. */
export const inboxAt = (now: Sql): Sql => sql`
  i.ai_agent_address as "aiAgentAddress", i.inbox_destination_type as "inboxDestinationType",
  i.inbox_name as "inboxName", i.status, i.admin_status as "adminStatus", i.health_status as "healthStatus",
  i.quarantined_at is not null as quarantined, i.description, i.owner_team as "ownerTeam",
  i.heartbeat_interval_seconds as "heartbeatIntervalSeconds", i.max_delivery_attempts as "maxDeliveryAttempts",
  i.last_health_check_timestamp as "lastHealthCheckTimestamp", i.registration_timestamp as "registrationTimestamp",
  i.last_updated_timestamp as "lastUpdatedTimestamp", i.updated_by as "updatedBy", i.revision,
  -- A heartbeat writes its own reason into one that is quarantined.
  case when i.quarantined_at is not null
      then 'quarantined' || coalesce(' by ' || i.quarantined_by, '') || coalesce(': ' || i.quarantine_reason, '')
    when i.status = 'INACTIVE' then i.status_reason end as "statusReason",
  case when i.delivery_paused_until > ${now} then i.delivery_paused_until end as "deliveryPausedUntil"`;
