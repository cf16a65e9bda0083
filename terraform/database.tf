locals {
  tier = coalesce(var.database_tier, var.deployment == "single" ? "db-g1-small" : "db-custom-2-7680")

  # Cloud SQL's own defaults, by memory in MB: set explicitly, so that the sum below is checked against what holds.
  tier_memory = try(tonumber(regex("^db-custom-[0-9]+-([0-9]+)$", local.tier)[0]), 15360)
  tier_connections = (
    local.tier == "db-f1-micro" ? 25 :
    local.tier == "db-g1-small" ? 50 :
    local.tier_memory >= 15360 ? 500 :
    local.tier_memory >= 7680 ? 400 : 100
  )
  max_connections = coalesce(var.max_connections, local.tier_connections)

  # Spelled out, so that a plan can show the whole environment of a function.
  connection_name = "${var.project}:${var.region}:${google_sql_database_instance.cams.name}"
}

resource "google_sql_database_instance" "cams" {
  project             = var.project
  region              = var.region
  name                = coalesce(var.database_instance, var.prefix)
  database_version    = var.database_version
  deletion_protection = var.deletion_protection

  settings {
    tier = local.tier
    # From PostgreSQL 16 on the default is Enterprise Plus, which has none of the small machines.
    edition                     = startswith(local.tier, "db-perf-optimized-") || startswith(local.tier, "db-c4a-") ? "ENTERPRISE_PLUS" : "ENTERPRISE"
    availability_type           = var.high_availability ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_autoresize             = true
    user_labels                 = local.labels
    deletion_protection_enabled = var.deletion_protection
    retain_backups_on_delete    = true
    # Nobody connects but through the connector, which proves by IAM who it is.
    connector_enforcement = "REQUIRED"

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.cams.id
      ssl_mode        = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    database_flags {
      name  = "cloudsql.iam_authentication"
      value = "on"
    }
    database_flags {
      name  = "max_connections"
      value = tostring(local.max_connections)
    }
    # Milliseconds. An idle instance is frozen with its connections open and cannot close them itself.
    database_flags {
      name  = "idle_session_timeout"
      value = "600000"
    }
    # Milliseconds, as the service sets it for itself: whoever else leaves a transaction open would hold up clearing up.
    database_flags {
      name  = "idle_in_transaction_session_timeout"
      value = "10000"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = format("%02d:00", (var.maintenance_hour + 23) % 24)
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7
      backup_retention_settings {
        retained_backups = var.backup_retention_days
        retention_unit   = "COUNT"
      }
    }

    final_backup_config {
      enabled        = true
      retention_days = 30
    }

    maintenance_window {
      day          = var.maintenance_day
      hour         = var.maintenance_hour
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled  = true
      record_application_tags = true
    }
  }

  depends_on = [google_service_networking_connection.database]

  lifecycle {
    precondition {
      condition     = module.catalog.connections.sum <= local.max_connections
      error_message = "The functions may open ${module.catalog.connections.sum} connections, and ${local.tier} with max_connections = ${local.max_connections} takes fewer: choose a larger database_tier, or fewer instances and smaller pools by limits. ${module.catalog.connections.text}"
    }
    # Storage grows by itself and never shrinks.
    ignore_changes = [settings[0].disk_size]
  }
}

resource "google_sql_database" "cams" {
  project  = var.project
  instance = google_sql_database_instance.cams.name
  name     = "cams"
  # Google's API does not delete a database on which others have rights; it goes with the instance.
  deletion_policy = "ABANDON"
}

# No passwords: each logs in as its service account. Rights come from system-migrate, by DATABASE_GRANTS.
resource "google_sql_user" "accounts" {
  for_each = { for name, user in local.database_users : name => user if !contains(local.accounts[name].database_roles, "cams_migrator") }

  project    = var.project
  instance   = google_sql_database_instance.cams.name
  name       = each.value
  type       = "CLOUD_IAM_SERVICE_ACCOUNT"
  depends_on = [google_service_account.cams]
}

# The one user with a role from the start, to make the others. On the others database_roles must not be set: an update
# would take away what system-migrate has granted.
resource "google_sql_user" "migrator" {
  project        = var.project
  instance       = google_sql_database_instance.cams.name
  name           = local.database_users["migrator"]
  type           = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles = ["cloudsqlsuperuser"]
  # Nor a user that has granted something. This one is in every deployment, so it goes with the instance too.
  deletion_policy = "ABANDON"
  depends_on      = [google_service_account.cams]
}
