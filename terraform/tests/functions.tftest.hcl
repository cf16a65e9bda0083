# The default: a function for each endpoint, behind the API Gateway.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google-beta" {}

variables {
  project        = "my-project"
  functions_dir  = "tests/built"
  admins         = ["someone@example.com"]
  auth_issuers   = ["https://accounts.google.com"]
  auth_audiences = ["cams"]
  # Mock providers open no ephemeral resources, and that is where the key comes from.
  create_secrets_key  = false
  secrets_key_version = "1"
}

run "gateway" {
  command = plan

  # Who may call what.

  assert {
    condition     = toset([for name, s in module.catalog.services : name if s.role == "public"]) == toset(["system-live", "system-ready", "system-openapi", "system-docs"])
    error_message = "Other endpoints are declared public than these four. If that is meant, say so here and in test/contract/public-endpoints.json."
  }
  assert {
    condition     = toset(concat(keys(module.function), ["system-migrate"])) == toset(keys(jsondecode(file("functions.json"))))
    error_message = "There is not one function for each endpoint."
  }
  assert {
    condition     = alltrue([for name, f in module.function : f.deployed.invokers == toset(["serviceAccount:cams-gateway@my-project.iam.gserviceaccount.com"]) if module.catalog.services[name].role != "system" && name != "events-stream"])
    error_message = "Not only the gateway may call what is behind it."
  }
  assert {
    condition     = module.function["events-stream"].deployed.invokers == toset([])
    error_message = "Somebody may follow events whom nobody has named."
  }
  assert {
    condition     = alltrue([for name, f in module.function : f.deployed.invokers == toset(["serviceAccount:cams-scheduler@my-project.iam.gserviceaccount.com"]) if module.catalog.services[name].role == "system"])
    error_message = "Not only the scheduler may call system functions."
  }
  assert {
    condition     = module.migrate.deployed.invokers == toset(["serviceAccount:cams-deployer@my-project.iam.gserviceaccount.com"])
    error_message = "Not only the deployer may migrate."
  }
  assert {
    condition     = alltrue([for name, f in module.function : f.deployed.ingress == (module.catalog.services[name].role == "system" ? "ALLOW_INTERNAL_ONLY" : "ALLOW_ALL")])
    error_message = "A system function can be reached from outside, or another one cannot."
  }
  assert {
    condition     = alltrue([for f in values(module.function) : f.deployed.environment["PLATFORM_AUTH"] == "iam" && f.deployed.environment["AUTH_MODE"] == "oidc"])
    error_message = "A function does not ask who calls."
  }
  assert {
    condition     = module.migrate.deployed.environment["PLATFORM_AUTH"] == "iam" && module.migrate.deployed.environment["AUTH_SYSTEM_ACCOUNTS"] == "cams-deployer@my-project.iam.gserviceaccount.com"
    error_message = "system-migrate takes somebody else for the deployer."
  }
  assert {
    condition = alltrue([for name, f in module.function : (
      module.catalog.services[name].role == "system"
      ? lookup(f.deployed.environment, "AUTH_SYSTEM_ACCOUNTS", "") == "cams-scheduler@my-project.iam.gserviceaccount.com" && !contains(keys(f.deployed.environment), "AUTH_GATEWAY_ACCOUNT")
      : lookup(f.deployed.environment, "AUTH_GATEWAY_ACCOUNT", "") == (name == "events-stream" ? "" : "cams-gateway@my-project.iam.gserviceaccount.com") && !contains(keys(f.deployed.environment), "AUTH_SYSTEM_ACCOUNTS")
    )])
    error_message = "A function trusts another caller than its own: the gateway or the scheduler."
  }
  assert {
    condition     = google_service_account_iam_binding.deployer[0].members == toset(["user:someone@example.com"])
    error_message = "Somebody else than the identity that applies may act as the deployer."
  }

  # The gateway.

  assert {
    condition     = google_api_gateway_api_config.cams[0].openapi_documents[0].document[0].contents == base64encode(local.gateway_contents)
    error_message = "The gateway has another document."
  }
  assert {
    condition     = toset(keys(jsondecode(local.gateway_contents).x-google-api-management.backends)) == toset([for name, s in module.catalog.services : name if s.role != "system" && name != "events-stream"])
    error_message = "The gateway does not lead to each function but those of the role system and the stream, which it could not pass on."
  }
  assert {
    condition = alltrue([for name, backend in jsondecode(local.gateway_contents).x-google-api-management.backends : (
      backend.address == "https://cams-${name}-123456789012.europe-west1.run.app"
      && contains(split(",", module.function[name].deployed.environment["AUTH_PLATFORM_AUDIENCES"]), backend.jwtAudience)
      && backend.deadline == module.function[name].deployed.timeout
      && backend.pathTranslation == "APPEND_PATH_TO_ADDRESS"
    )])
    error_message = "A backend of the gateway leads elsewhere, its token is for an audience that its function does not take, or it waits less than its function."
  }
  assert {
    condition = alltrue([for operations in values(jsondecode(local.gateway_contents).paths) : alltrue([
      for operation in values(operations) : operation.x-google-backend == operation.operationId && !contains(keys(operation), "security")
    ])]) && !contains(keys(jsondecode(local.gateway_contents)), "security")
    error_message = "The gateway's document asks for credentials itself: it would take them for Google's."
  }
  assert {
    condition     = google_api_gateway_api_config.cams[0].gateway_config[0].backend_config[0].google_service_account == "cams-gateway@my-project.iam.gserviceaccount.com"
    error_message = "The gateway calls as somebody else than its own account."
  }

  # Limits and network.

  assert {
    condition = alltrue([for name, f in module.function : (
      f.deployed.memory == "${module.catalog.services[name].memory_mb}Mi"
      && f.deployed.timeout == module.catalog.services[name].timeout_seconds
      && f.deployed.concurrency == module.catalog.services[name].concurrency
      && f.deployed.instances == module.catalog.services[name].max_instances
    )])
    error_message = "A function has other limits than its endpoint declares."
  }
  assert {
    condition     = alltrue([for name, f in module.function : f.deployed.cpu == "1" if module.catalog.services[name].concurrency > 1])
    error_message = "A function with several requests at once has no whole processor: Cloud Run refuses it."
  }
  assert {
    condition = alltrue([for name, f in module.function : (
      length(module.catalog.services[name].database_roles) == 0
      ? f.deployed.interfaces == 0 && length(setintersection(keys(f.deployed.environment), ["INSTANCE_CONNECTION_NAME", "DB_USER", "DB_NAME", "DB_POOL_SIZE"])) == 0
      : f.deployed.interfaces == 1 && f.deployed.egress == "VPC_EGRESS_PRIVATE_RANGES_ONLY" && f.deployed.environment["DB_POOL_SIZE"] == tostring(module.catalog.services[name].pool_size)
    )])
    error_message = "A function has a way to the database without a database role, or none with one."
  }

  assert {
    condition     = { for name, f in module.function : name => f.deployed.environment["DELIVER_SECONDS"] if can(f.deployed.environment["DELIVER_SECONDS"]) } == { messages-deliver = "50" }
    error_message = "Not messages-deliver is told for how long to deliver."
  }

  # Schedules.

  assert {
    condition     = toset(keys(google_cloud_scheduler_job.schedules)) == toset([for name, f in jsondecode(file("functions.json")) : name if can(f.schedule)])
    error_message = "There is not one job for each declared schedule."
  }
  assert {
    condition = alltrue([for name, job in google_cloud_scheduler_job.schedules : (
      job.schedule == jsondecode(file("functions.json"))[name].schedule && job.time_zone == "Etc/UTC"
      && job.http_target[0].http_method == jsondecode(file("functions.json"))[name].method
      && job.http_target[0].uri == "https://cams-${name}-123456789012.europe-west1.run.app${jsondecode(file("functions.json"))[name].path}"
      && tonumber(trimsuffix(job.attempt_deadline, "s")) > module.catalog.services[name].timeout_seconds
      && job.http_target[0].oidc_token[0].service_account_email == "cams-scheduler@my-project.iam.gserviceaccount.com"
      && contains(split(",", module.function[name].deployed.environment["AUTH_PLATFORM_AUDIENCES"]), job.http_target[0].oidc_token[0].audience)
    )])
    error_message = "A job does not call its function as declared, or gives up before it, or not as the scheduler."
  }

  # Accounts and rights.

  assert {
    condition     = length(google_service_account.cams) == 12
    error_message = "There are other than twelve service accounts, of the hundred that a project may have."
  }
  assert {
    condition     = alltrue([for name, f in module.function : f.deployed.account == "cams-${module.catalog.services[name].account}@my-project.iam.gserviceaccount.com"])
    error_message = "A function runs as another account than its own."
  }
  assert {
    condition     = toset(values(google_sql_user.accounts)[*].name) == toset([for name in ["reader", "agent", "registry", "operator", "system", "delivery"] : "cams-${name}@my-project.iam"])
    error_message = "There are other database users than one for each account that needs the database."
  }
  assert {
    condition     = google_sql_user.migrator.database_roles == tolist(["cloudsqlsuperuser"]) && google_sql_user.migrator.name == "cams-migrator@my-project.iam"
    error_message = "The migrator cannot make the database's roles."
  }
  assert {
    condition     = alltrue([for user in values(google_sql_user.accounts) : user.database_roles == null && user.password == null && user.type == "CLOUD_IAM_SERVICE_ACCOUNT"])
    error_message = "Another user than the migrator sets database_roles (an update would revoke what system-migrate grants), or has a password."
  }
  assert {
    condition = toset(split(",", module.migrate.deployed.environment["DATABASE_GRANTS"])) == toset([
      "cams-reader@my-project.iam=cams_reader", "cams-agent@my-project.iam=cams_agent", "cams-registry@my-project.iam=cams_agent",
      "cams-operator@my-project.iam=cams_operator", "cams-system@my-project.iam=cams_system", "cams-delivery@my-project.iam=cams_system",
    ])
    error_message = "The database's roles are granted to others than the accounts that need them."
  }
  assert {
    condition     = alltrue([for f in values(module.function) : !contains(keys(f.deployed.environment), "DATABASE_GRANTS")])
    error_message = "Another function than system-migrate knows of grants."
  }
  assert {
    condition     = toset([for name, f in module.function : name if length(f.deployed.secrets) > 0]) == toset([for name, f in jsondecode(file("functions.json")) : name if contains(f.rights, "secrets")])
    error_message = "The key of the webhooks' secrets is given to functions that have no right to it, or kept from one that has."
  }
  assert {
    condition     = google_secret_manager_secret_iam_binding.secrets_key.members == toset([for name in ["registry", "delivery"] : "serviceAccount:cams-${name}@my-project.iam.gserviceaccount.com"])
    error_message = "Others than registry and delivery may read the key."
  }
  assert {
    condition     = keys(google_project_iam_member.pubsub) == ["delivery"]
    error_message = "Others than delivery may publish."
  }
  assert {
    condition     = toset([for member in google_project_iam_member.database : member.member]) == toset([for name in ["reader", "agent", "registry", "operator", "system", "delivery", "migrator"] : "serviceAccount:cams-${name}@my-project.iam.gserviceaccount.com"])
    error_message = "An account that needs no database may connect to it, or one that does may not."
  }

  # The database.

  assert {
    condition = alltrue([
      google_sql_database_instance.cams.settings[0].ip_configuration[0].ipv4_enabled == false,
      google_sql_database_instance.cams.settings[0].ip_configuration[0].ssl_mode == "TRUSTED_CLIENT_CERTIFICATE_REQUIRED",
      google_sql_database_instance.cams.settings[0].connector_enforcement == "REQUIRED",
      google_sql_database_instance.cams.root_password == null,
    ])
    error_message = "The database can be reached from outside, without encryption, or with a password."
  }
  assert {
    condition = { for flag in google_sql_database_instance.cams.settings[0].database_flags : flag.name => flag.value } == {
      "cloudsql.iam_authentication" = "on", max_connections = "400", idle_session_timeout = "600000", idle_in_transaction_session_timeout = "10000",
    }
    error_message = "The database's flags are others."
  }
  assert {
    condition = alltrue([
      google_sql_database_instance.cams.settings[0].backup_configuration[0].enabled,
      google_sql_database_instance.cams.settings[0].backup_configuration[0].point_in_time_recovery_enabled,
      google_sql_database_instance.cams.settings[0].retain_backups_on_delete,
      google_sql_database_instance.cams.settings[0].final_backup_config[0].enabled,
      google_sql_database_instance.cams.deletion_protection,
      google_sql_database_instance.cams.settings[0].deletion_protection_enabled,
      google_sql_database_instance.cams.settings[0].edition == "ENTERPRISE",
      google_sql_database_instance.cams.settings[0].availability_type == "ZONAL",
    ])
    error_message = "The database can be lost: backups, point-in-time recovery, protection."
  }

  assert {
    condition     = google_sql_database.cams.deletion_policy == "ABANDON" && google_sql_user.migrator.deletion_policy == "ABANDON"
    error_message = "Removing it all would fail at what Google's API does not delete from a PostgreSQL with rights in it."
  }

  # Operation.

  assert {
    condition     = strcontains(google_logging_metric.runs.filter, "|cams-messages-send|") && strcontains(google_logging_metric.scheduler_failures.filter, "\"^(cams-health-sweep|cams-messages-deliver|cams-schedules-tick|cams-system-retention)$\"")
    error_message = "Another installation, whose prefix begins with this one's, would be watched too."
  }
  assert {
    condition     = length(setsubtract([for name, f in jsondecode(file("functions.json")) : "${name}-absent" if try(startswith(f.schedule, "* "), false)], keys(google_monitoring_alert_policy.alerts))) == 0
    error_message = "Nobody would be told that a job which runs every minute no longer does."
  }
  assert {
    condition     = length(setsubtract(["server-errors", "connections", "disk", "scheduler-failures", "not-ready"], keys(google_monitoring_alert_policy.alerts))) == 0
    error_message = "An alert is missing."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.lines["dead-letters"].conditions[0].condition_matched_log[0].filter, "AND severity=\"WARNING\" AND jsonPayload.message:\"messages dead-lettered\"")
    error_message = "Nobody would be told of dead letters."
  }
  assert {
    condition     = output.migrate_command == null && length(terraform_data.migrate) == 1
    error_message = "An apply does not migrate."
  }
}
