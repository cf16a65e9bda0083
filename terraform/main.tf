# What is to be, computed once: the files beside this one make it.

data "google_project" "this" {
  project_id = var.project
}

locals {
  labels   = merge({ app = var.prefix }, var.labels)
  manifest = jsondecode(file("${var.functions_dir}/manifest.json"))
  number   = data.google_project.this.number
  front    = coalesce(var.front, var.deployment == "single" ? "none" : "gateway")
}

module "catalog" {
  source     = "./modules/catalog"
  functions  = jsondecode(file("${path.module}/functions.json"))
  deployment = var.deployment
  limits     = var.limits
  schedules  = var.schedules
  project    = var.project
  prefix     = var.prefix
}

locals {
  services = module.catalog.services
  names    = module.catalog.names
  # Known before there is a service: its configuration can name it, and so can that of who calls it.
  urls = { for name, full in local.names : name => "https://${full}-${local.number}.${var.region}.run.app" }

  caller_of_system = { for name in keys(local.services) : name => local.emails[name == "system-migrate" ? "deployer" : "scheduler"] }
  # Not the stream, which the gateway cannot pass on.
  behind_gateway = local.front == "gateway" ? keys(local.gateway_document.x-google-api-management.backends) : []
  invokers_otherwise = {
    gateway       = var.stream_invokers
    load_balancer = ["allUsers"]
    none          = var.deployment == "single" ? ["allUsers"] : var.invokers
  }[local.front]
  invokers = {
    for name, s in local.services : name => (
      s.role == "system" ? ["serviceAccount:${local.caller_of_system[name]}"] :
      contains(local.behind_gateway, name) ? ["serviceAccount:${local.emails["gateway"]}"] : local.invokers_otherwise
    )
  }
  # Where Cloud Run lets everybody in, so that the process itself must tell who calls.
  open = { for name, members in local.invokers : name => length(setintersection(members, ["allUsers", "allAuthenticatedUsers"])) > 0 }
  # Which serves /health/ready.
  ready = var.deployment == "single" ? "cams" : "system-ready"

  ingress = {
    for name, s in local.services : name => (
      name == "system-migrate" ? var.migrate_ingress :
      s.role == "system" ? "ALLOW_INTERNAL_ONLY" :
      local.front == "load_balancer" ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"
    )
  }
}

# Of every function. Nothing here is secret.
locals {
  own_audiences = { for name, full in local.names : name => [local.urls[name], "https://${var.region}-${var.project}.cloudfunctions.net/${full}"] }
  # Google's may be among them, with its keys: the service refuses to start when an issuer is named twice.
  named_issuers = [for issuer in var.auth_issuers : split("=", issuer)[0]]
  issuers       = concat(var.deployment == "single" && !contains(local.named_issuers, "https://accounts.google.com") ? ["https://accounts.google.com"] : [], var.auth_issuers)

  environment = {
    for name, s in local.services : name => {
      NODE_ENV              = "production"
      GOOGLE_CLOUD_PROJECT  = var.project
      LOG_TRANSPORT         = "google"
      LOG_LEVEL             = "INFO"
      RATE_LIMIT_PER_MINUTE = tostring(var.rate_limit_per_minute)
      RETENTION_DAYS        = tostring(var.retention_days)
      TASK_RETENTION_DAYS   = tostring(var.task_retention_days)
      EVENT_RETENTION_DAYS  = tostring(var.event_retention_days)
      DELIVER_SECONDS       = contains(s.rights, "pubsub") ? tostring(var.deliver_seconds) : null

      AUTH_MODE               = "oidc"
      AUTH_ISSUERS            = s.role == "system" ? null : join(",", local.issuers)
      AUTH_AUDIENCES          = s.role == "system" ? null : join(",", distinct(concat(var.deployment == "single" ? local.own_audiences[name] : [], var.auth_audiences)))
      PLATFORM_AUTH           = local.open[name] ? "none" : "iam"
      AUTH_PLATFORM_AUDIENCES = local.open[name] ? null : join(",", local.own_audiences[name])
      AUTH_GATEWAY_ACCOUNT    = contains(local.behind_gateway, name) ? local.emails["gateway"] : null
      AUTH_SYSTEM_ACCOUNTS    = s.role == "system" || s.role == "any" ? local.caller_of_system[name] : null
      CAMS_ADMINS             = join(",", var.admins)

      INSTANCE_CONNECTION_NAME = length(s.database_roles) > 0 ? local.connection_name : null
      DB_USER                  = length(s.database_roles) > 0 ? local.database_users[s.account] : null
      DB_NAME                  = length(s.database_roles) > 0 ? google_sql_database.cams.name : null
      DB_POOL_SIZE             = length(s.database_roles) > 0 ? tostring(s.pool_size) : null
      DATABASE_GRANTS          = name == "system-migrate" ? local.database_grants : null
    }
  }
}

# Warns only: keys that were made before go on working without.
check "first_administrator" {
  assert {
    condition     = length(var.admins) > 0
    error_message = "admins is empty: on a new installation nobody could register anybody."
  }
  assert {
    condition     = length(var.admins) == 0 || length(local.issuers) > 0 || (local.front == "none" && !local.open[local.ready])
    error_message = "admins prove who they are by tokens, and auth_issuers is empty: name https://accounts.google.com, or another issuer."
  }
  assert {
    condition     = var.front != "none" || length(var.invokers) > 0
    error_message = "front is \"none\" and invokers is empty: Cloud Run would let nobody in."
  }
}
