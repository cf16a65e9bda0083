# One function for all endpoints, and system-migrate.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google-beta" {}

variables {
  project             = "my-project"
  functions_dir       = "tests/built"
  deployment          = "single"
  admins              = ["someone@example.com"]
  create_secrets_key  = false
  secrets_key_version = "1"
}

run "single" {
  command = plan

  assert {
    condition     = keys(module.function) == ["cams"] && module.function["cams"].name == "cams" && module.migrate.name == "cams-system-migrate"
    error_message = "There are other functions than cams and system-migrate."
  }
  assert {
    condition = alltrue([
      module.function["cams"].deployed.invokers == toset(["allUsers"]),
      module.function["cams"].deployed.environment["AUTH_MODE"] == "oidc",
      module.function["cams"].deployed.environment["PLATFORM_AUTH"] == "none",
      !contains(keys(module.function["cams"].deployed.environment), "AUTH_PLATFORM_AUDIENCES"),
      module.function["cams"].deployed.environment["AUTH_ISSUERS"] == "https://accounts.google.com",
      contains(split(",", module.function["cams"].deployed.environment["AUTH_AUDIENCES"]), "https://cams-123456789012.europe-west1.run.app"),
      module.function["cams"].deployed.environment["AUTH_SYSTEM_ACCOUNTS"] == "cams-scheduler@my-project.iam.gserviceaccount.com",
    ])
    error_message = "cams does not tell itself who calls."
  }
  assert {
    condition     = module.migrate.deployed.invokers == toset(["serviceAccount:cams-deployer@my-project.iam.gserviceaccount.com"]) && module.migrate.deployed.environment["PLATFORM_AUTH"] == "iam"
    error_message = "Not only the deployer may migrate."
  }
  assert {
    condition     = toset(split(",", module.migrate.deployed.environment["DATABASE_GRANTS"])) == toset([for role in ["reader", "agent", "operator", "system"] : "cams-single@my-project.iam=cams_${role}"])
    error_message = "The one account has other roles than the four that serve."
  }
  assert {
    condition     = module.function["cams"].deployed.account == "cams-single@my-project.iam.gserviceaccount.com" && module.migrate.deployed.account == "cams-migrator@my-project.iam.gserviceaccount.com"
    error_message = "What serves the internet has the migrator's rights."
  }
  assert {
    condition     = toset(keys(google_service_account.cams)) == toset(["single", "migrator", "scheduler", "deployer", "build"])
    error_message = "There are other accounts than five."
  }
  assert {
    condition     = module.function["cams"].deployed.instances == 1 && module.function["cams"].deployed.environment["DB_POOL_SIZE"] == "3" && module.function["cams"].deployed.secrets == tolist(["SECRETS_KEY"])
    error_message = "cams has other limits, or not the key."
  }
  assert {
    condition = toset(keys(google_cloud_scheduler_job.schedules)) == toset([for name, f in jsondecode(file("functions.json")) : name if can(f.schedule)]) && alltrue([for name, job in google_cloud_scheduler_job.schedules : (
      job.http_target[0].uri == "https://cams-123456789012.europe-west1.run.app${jsondecode(file("functions.json"))[name].path}"
      && contains(split(",", module.function["cams"].deployed.environment["AUTH_AUDIENCES"]), job.http_target[0].oidc_token[0].audience)
    )])
    error_message = "A schedule has no job, or one that cams would not take for the scheduler's."
  }
  assert {
    condition     = google_sql_database_instance.cams.settings[0].tier == "db-g1-small" && output.connections == "43 of 50"
    error_message = "The small machine is not what cams needs."
  }
  assert {
    condition     = length(google_api_gateway_gateway.cams) == 0 && length(google_compute_url_map.cams) == 0 && output.url == "https://cams-123456789012.europe-west1.run.app"
    error_message = "There is a front."
  }
}
