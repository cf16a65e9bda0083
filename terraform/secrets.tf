# The key that encrypts the secrets of webhooks. Its value is in no state and no plan.
resource "google_secret_manager_secret" "secrets_key" {
  project             = var.project
  secret_id           = "${var.prefix}-secrets-key"
  deletion_protection = var.deletion_protection
  depends_on          = [google_project_service.used]

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

# 32 characters out of 62 are 190 bits: as a key of 32 bytes as strong as one needs.
ephemeral "random_password" "secrets_key" {
  count   = var.create_secrets_key ? 1 : 0
  length  = 32
  special = false
}

# Written once: each run makes up another value, which only a higher secret_data_wo_version would write.
resource "google_secret_manager_secret_version" "secrets_key" {
  count = var.create_secrets_key ? 1 : 0

  secret                 = google_secret_manager_secret.secrets_key.id
  secret_data_wo         = base64encode(ephemeral.random_password.secrets_key[0].result)
  secret_data_wo_version = 1
  # Without the key every webhook's secret is lost: a version is only ever disabled from here.
  deletion_policy = "DISABLE"
}

locals {
  # A number, not "latest": which instance reads which key must not depend on when it started.
  secrets_key_version = var.secrets_key_version != null ? var.secrets_key_version : one(google_secret_manager_secret_version.secrets_key[*].version)
}

resource "google_secret_manager_secret_iam_binding" "secrets_key" {
  project    = var.project
  secret_id  = google_secret_manager_secret.secrets_key.secret_id
  role       = "roles/secretmanager.secretAccessor"
  members    = [for name, account in local.accounts : "serviceAccount:${local.emails[name]}" if contains(account.rights, "secrets")]
  depends_on = [google_service_account.cams]
}
