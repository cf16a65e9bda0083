# The fronts beside the gateway: a load balancer, and none.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_data "google_client_openid_userinfo" {
    defaults = { email = "terraform@my-project.iam.gserviceaccount.com" }
  }
}
mock_provider "google-beta" {}

variables {
  project             = "my-project"
  functions_dir       = "tests/built"
  admins              = ["someone@example.com"]
  create_secrets_key  = false
  secrets_key_version = "1"
}

run "load_balancer" {
  command = plan
  variables {
    front          = "load_balancer"
    domain         = "cams.example.com"
    auth_issuers   = ["https://accounts.google.com"]
    auth_audiences = ["https://cams.example.com"]
    alert_emails   = ["someone@example.com"]

    monthly_budget  = 100
    billing_account = "012345-678901-ABCDEF"
  }

  assert {
    condition = alltrue([for name, f in module.function : (
      module.catalog.services[name].role == "system"
      ? f.deployed.invokers == toset(["serviceAccount:cams-scheduler@my-project.iam.gserviceaccount.com"]) && f.deployed.ingress == "ALLOW_INTERNAL_ONLY" && f.deployed.environment["PLATFORM_AUTH"] == "iam"
      : f.deployed.invokers == toset(["allUsers"]) && f.deployed.ingress == "ALLOW_INTERNAL_AND_GCLB" && f.deployed.environment["PLATFORM_AUTH"] == "none"
    )])
    error_message = "Behind the load balancer a function trusts a check that Cloud Run does not make, or can be reached around it."
  }
  assert {
    condition     = module.migrate.deployed.invokers == toset(["serviceAccount:cams-deployer@my-project.iam.gserviceaccount.com"])
    error_message = "Not only the deployer may migrate."
  }
  assert {
    condition = alltrue([for f in values(module.function) : (
      lookup(f.deployed.environment, "AUTH_ISSUERS", "") == "https://accounts.google.com" && f.deployed.environment["AUTH_AUDIENCES"] == "https://cams.example.com"
    ) if f.deployed.environment["PLATFORM_AUTH"] == "none"])
    error_message = "A public function does not know whose tokens it takes."
  }
  assert {
    condition = toset([
      for rule in google_compute_url_map.cams[0].path_matcher[0].route_rules : "${rule.match_rules[0].header_matches[0].header_name} ${rule.match_rules[0].header_matches[0].exact_match} ${rule.match_rules[0].path_template_match}"
      ]) == toset([
      for name, f in jsondecode(file("functions.json")) : ":method ${f.method} ${replace(f.path, "/\\{\\w+\\}/", "*")}" if f.role != "system"
    ])
    error_message = "The load balancer has not one route for each endpoint but those of the role system, by path and method."
  }
  assert {
    condition = alltrue([for spelled in google_compute_url_map.cams[0].path_matcher[0].route_rules : alltrue([
      for fits in google_compute_url_map.cams[0].path_matcher[0].route_rules : spelled.priority < fits.priority
      if !strcontains(spelled.match_rules[0].path_template_match, "*") && strcontains(fits.match_rules[0].path_template_match, "*")
      && can(regex("^${replace(fits.match_rules[0].path_template_match, "*", "[^/]+")}$", spelled.match_rules[0].path_template_match))
    ])])
    error_message = "A path with a parameter is tried before one that is spelled out."
  }
  assert {
    condition     = length(google_api_gateway_gateway.cams) == 0 && length(google_service_account.cams) == 11
    error_message = "There is a gateway beside the load balancer."
  }
  assert {
    condition     = google_service_account_iam_binding.deployer[0].members == toset(["serviceAccount:terraform@my-project.iam.gserviceaccount.com"])
    error_message = "A service account that applies is taken for a person."
  }
  assert {
    condition     = output.url == "https://cams.example.com" && google_monitoring_uptime_check_config.ready[0].monitored_resource[0].labels["host"] == "cams.example.com"
    error_message = "The service is watched elsewhere than where it answers."
  }
  assert {
    condition     = length(google_billing_budget.monthly) == 1 && keys(google_monitoring_notification_channel.emails) == ["someone@example.com"]
    error_message = "Nobody is told of what it costs."
  }
}

run "none" {
  command = plan
  variables {
    front    = "none"
    invokers = ["group:agents@example.com"]

    run_migrations = false
    deployers      = ["group:operators@example.com"]
  }

  assert {
    condition     = length(terraform_data.migrate) == 0 && output.migrate_command == "npm run --silent migrate:installation -- --url https://cams-system-migrate-123456789012.europe-west1.run.app --account cams-deployer@my-project.iam.gserviceaccount.com"
    error_message = "The command that migrates is not shown."
  }
  assert {
    condition     = google_service_account_iam_binding.deployer[0].members == toset(["group:operators@example.com"])
    error_message = "Others than deployers may migrate."
  }

  assert {
    condition = alltrue([for name, f in module.function : f.deployed.invokers == (
      module.catalog.services[name].role == "system" ? toset(["serviceAccount:cams-scheduler@my-project.iam.gserviceaccount.com"]) : toset(["group:agents@example.com"])
    )])
    error_message = "Others than invokers may call the functions."
  }
  assert {
    condition     = alltrue([for f in values(module.function) : f.deployed.environment["PLATFORM_AUTH"] == "iam" && !contains(keys(f.deployed.environment), "AUTH_GATEWAY_ACCOUNT")])
    error_message = "Cloud Run checks who calls, and a function does not know."
  }
  assert {
    condition     = length(google_monitoring_uptime_check_config.ready) == 0 && output.url == null
    error_message = "Google's uptime checks may not call what only invokers may."
  }
}

run "none_for_everybody" {
  command = plan
  variables {
    front          = "none"
    invokers       = ["allUsers"]
    auth_issuers   = ["https://accounts.google.com"]
    auth_audiences = ["cams"]
  }

  assert {
    condition = alltrue([for name, f in module.function : (
      module.catalog.services[name].role == "system"
      ? f.deployed.invokers == toset(["serviceAccount:cams-scheduler@my-project.iam.gserviceaccount.com"]) && f.deployed.environment["PLATFORM_AUTH"] == "iam"
      : f.deployed.invokers == toset(["allUsers"]) && f.deployed.environment["PLATFORM_AUTH"] == "none" && f.deployed.environment["AUTH_MODE"] == "oidc"
    )])
    error_message = "A function that everybody may invoke trusts tokens that nobody has checked."
  }
}

run "platform_authentication_with_public_invokers" {
  command = plan
  module {
    source = "./modules/function"
  }
  variables {
    name        = "cams-messages-send"
    entry_point = "messages-send"
    region      = "europe-west1"
    source_code = { bucket = "sources", zip = "messages-send.zip", sha256 = "00112233445566778899aabbccddeeff" }
    build       = { account = "cams-build@my-project.iam.gserviceaccount.com", repository = "images" }
    account     = "cams-agent@my-project.iam.gserviceaccount.com"
    limits      = { memory_mb = 256, timeout_seconds = 60, concurrency = 80, min_instances = 0, max_instances = 1 }
    network     = null
    ingress     = "ALLOW_ALL"
    invokers    = ["group:agents@example.com", "allAuthenticatedUsers"]
    environment = { PLATFORM_AUTH = "iam" }
  }
  expect_failures = [google_cloudfunctions2_function.this]
}
