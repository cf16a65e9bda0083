# The outermost values that variables take. A plan must be possible with them, and the functions must start with what
# they are given: what a plan takes and the service refuses would take every function down.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google-beta" {}

variables {
  project             = "my-project"
  functions_dir       = "tests/built"
  create_secrets_key  = false
  secrets_key_version = "1"

  # Google's may be named with its keys.
  auth_issuers   = ["https://accounts.google.com=https://www.googleapis.com/oauth2/v3/certs", "https://issuer.example.com:8443/a/b"]
  auth_audiences = ["https://cams.example.com", "cams"]
  admins         = ["Someone@example.com", "issuer.example.com:8443/a/b|someone"]

  database_tier         = "db-custom-96-638976"
  max_connections       = 10000
  retention_days        = 3650
  task_retention_days   = 3650
  event_retention_days  = 3650
  rate_limit_per_minute = 0
  deliver_seconds       = 0
}

run "as_much_as_is_taken" {
  command = plan
  variables {
    stream_invokers = ["allUsers"]

    limits    = { messages-pull = { max_instances = 40, min_instances = 40, memory_mb = 4096, pool_size = 100, concurrency = 1000 } }
    schedules = { messages-deliver = "*/5 8-18 * * MON-FRI" }

    alert_emails    = [for n in range(6) : "ops${n}@example.com"]
    monthly_budget  = 1
    billing_account = "012345-678901-ABCDEF"
  }

  assert {
    condition     = google_cloud_scheduler_job.schedules["messages-deliver"].schedule == "*/5 8-18 * * MON-FRI" && google_cloud_scheduler_job.schedules["health-sweep"].schedule == jsondecode(file("functions.json")).health-sweep.schedule
    error_message = "A schedule does not take the place of the declared one, or takes others with it."
  }
  assert {
    condition     = google_cloud_scheduler_job.schedules["messages-deliver"].retry_config[0].retry_count == 3 && !contains(keys(google_monitoring_alert_policy.alerts), "messages-deliver-absent") && contains(keys(google_monitoring_alert_policy.alerts), "health-sweep-absent")
    error_message = "What no longer runs every minute is watched, or not repeated, as if it did."
  }
  assert {
    condition = alltrue([for name, f in module.function : (
      f.deployed.invokers == toset(["allUsers"]) && f.deployed.environment["PLATFORM_AUTH"] == "none" && f.deployed.environment["AUTH_MODE"] == "oidc"
    ) == (name == "events-stream")])
    error_message = "Others than the stream are open to everybody, or it does not ask who calls."
  }
  assert {
    condition     = length(google_billing_budget.monthly[0].all_updates_rule[0].monitoring_notification_channels) == 5
    error_message = "More channels than the five that a budget takes."
  }
}

run "as_much_as_is_taken_by_one" {
  command = plan
  variables {
    deployment = "single"
    limits     = { cams = { max_instances = 10, memory_mb = 128, pool_size = 100, concurrency = 1 } }

    monthly_budget  = 1
    billing_account = "012345-678901-ABCDEF"
  }

  assert {
    condition     = length(google_billing_budget.monthly[0].all_updates_rule) == 0
    error_message = "The budget has a rule for nobody."
  }

  assert {
    condition     = module.function["cams"].deployed.environment["AUTH_ISSUERS"] == join(",", var.auth_issuers)
    error_message = "Google's issuer is named twice."
  }
}
