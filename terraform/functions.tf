# Versioned: what an apply replaces stays for 90 days, beside what a checkout or an older dist/ can upload again.
resource "google_storage_bucket" "sources" {
  project                     = var.project
  location                    = var.region
  name                        = "${var.project}-${var.prefix}-sources"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  depends_on                  = [google_project_service.used]

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 90
    }
  }
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = "${var.prefix}-functions"
  format        = "DOCKER"
  depends_on    = [google_project_service.used]

  # Of each function the three newest images, whatever their age: one of them runs.
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${local.emails["build"]}"
  depends_on = [google_service_account.cams]
}

locals {
  deployments = {
    for name, s in local.services : name => {
      limits      = { for limit in ["memory_mb", "timeout_seconds", "concurrency", "min_instances", "max_instances"] : limit => s[limit] }
      account     = local.emails[s.account]
      network     = length(s.database_roles) > 0 ? { network = google_compute_network.cams.id, subnetwork = google_compute_subnetwork.functions.id } : null
      source_code = { bucket = google_storage_bucket.sources.name, zip = "${var.functions_dir}/${local.manifest.functions[name].zip}", sha256 = local.manifest.functions[name].sha256 }
      secrets     = contains(s.rights, "secrets") ? { SECRETS_KEY = { secret = google_secret_manager_secret.secrets_key.secret_id, version = local.secrets_key_version } } : {}
    }
  }
  build = { account = local.emails["build"], repository = google_artifact_registry_repository.images.id }
}

# Before the others, so that the schema is the new code's before the new code runs. The code before it goes on serving
# meanwhile: migrations are made so that it can.
module "migrate" {
  source = "./modules/function"

  name        = local.names["system-migrate"]
  entry_point = "system-migrate"
  project     = var.project
  region      = var.region
  source_code = local.deployments["system-migrate"].source_code
  build       = local.build
  account     = local.deployments["system-migrate"].account
  limits      = local.deployments["system-migrate"].limits
  network     = local.deployments["system-migrate"].network
  ingress     = local.ingress["system-migrate"]
  invokers    = local.invokers["system-migrate"]
  environment = local.environment["system-migrate"]

  # Rights take a minute or two to hold everywhere; the database takes longer to be made. And all that a call of it needs,
  # so that it can be called after an apply of this module alone, the first one included: system-migrate refuses to run
  # while a user of DATABASE_GRANTS is missing.
  depends_on = [
    google_project_iam_member.build, google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.database, google_sql_user.migrator, google_sql_user.accounts, google_sql_database.cams,
    google_service_account_iam_binding.deployer,
  ]
}

locals {
  migrate_command = "npm run --silent migrate:installation -- --url ${local.urls["system-migrate"]} --account ${local.emails["deployer"]}"
}

resource "terraform_data" "migrate" {
  count = var.run_migrations ? 1 : 0

  triggers_replace = sha256(jsonencode([google_sql_database_instance.cams.name, local.manifest.migrations, local.database_grants]))

  provisioner "local-exec" {
    command     = local.migrate_command
    working_dir = "${path.module}/.."
  }

  depends_on = [module.migrate]
}

module "function" {
  source   = "./modules/function"
  for_each = { for name, s in local.services : name => s if name != "system-migrate" }

  name        = local.names[each.key]
  entry_point = each.value.entry_point
  project     = var.project
  region      = var.region
  source_code = local.deployments[each.key].source_code
  build       = local.build
  account     = local.deployments[each.key].account
  limits      = local.deployments[each.key].limits
  network     = local.deployments[each.key].network
  ingress     = local.ingress[each.key]
  invokers    = local.invokers[each.key]
  environment = local.environment[each.key]
  secrets     = local.deployments[each.key].secrets

  depends_on = [terraform_data.migrate, google_secret_manager_secret_iam_binding.secrets_key, google_project_iam_member.pubsub]
}
