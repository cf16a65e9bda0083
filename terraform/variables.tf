variable "project" {
  description = "Id of the Google Cloud project, such as my-cams. One of a domain (example.com:my-cams) does not work: its accounts are named otherwise."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project's id, not its name or number: 6 to 30 lower-case letters, digits and hyphens, the first a letter."
  }
}

variable "region" {
  description = "Region of everything. With front = \"gateway\" one in which the API Gateway is offered."
  type        = string
  default     = "europe-west1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone."
  }
}

variable "prefix" {
  description = "First part of every name, so that several installations fit into one project."
  type        = string
  default     = "cams"
  # 18: with "-scheduler" an account's id has at most 30 characters, and `<id>@<project>.iam` the 63 bytes of a name in PostgreSQL.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,16}[a-z0-9]$", var.prefix))
    error_message = "prefix must have 2 to 18 lower-case letters, digits and hyphens, the first a letter, the last no hyphen."
  }
}

variable "labels" {
  description = "Labels of every resource that takes some."
  type        = map(string)
  default     = {}
}

variable "deployment" {
  description = "\"functions\": a function for each endpoint. \"single\": one for all of them, for evaluation and small installations."
  type        = string
  default     = "functions"
  validation {
    condition     = contains(["functions", "single"], var.deployment)
    error_message = "deployment must be \"functions\" or \"single\"."
  }
}

variable "functions_dir" {
  description = "Folder that `npm run build` wrote, seen from terraform/. An older one rolls back; if its migrations are older than the database, with run_migrations = false."
  type        = string
  default     = "../dist"
  validation {
    condition     = fileexists("${var.functions_dir}/manifest.json")
    error_message = "There is no manifest.json in functions_dir: run npm run build first."
  }
  validation {
    condition = try(length(setsubtract(
      var.deployment == "single" ? ["cams", "system-migrate"] : keys(jsondecode(file("${path.module}/functions.json"))),
      keys(jsondecode(file("${var.functions_dir}/manifest.json")).functions)
    )) == 0, true)
    error_message = "What functions_dir holds was built from other endpoints than functions.json has: run npm run build again, or check out the terraform/ that belongs to it."
  }
}

variable "limits" {
  description = "Other limits than those an endpoint declares, by its name (\"cams\" with deployment = \"single\"): max_instances, min_instances, memory_mb, pool_size, concurrency."
  # Not an object: of that Terraform would drop a misspelt name without a word.
  type    = map(map(number))
  default = {}
  validation {
    condition = alltrue([for name in keys(var.limits) : contains(
      var.deployment == "single" ? ["cams", "system-migrate"] : keys(jsondecode(file("${path.module}/functions.json"))), name
    )])
    error_message = "limits names functions that are not deployed: with deployment = \"functions\" the names are those of functions.json, with \"single\" cams and system-migrate."
  }
  validation {
    condition     = length(setsubtract(flatten([for limit in values(var.limits) : keys(limit)]), ["max_instances", "min_instances", "memory_mb", "pool_size", "concurrency"])) == 0
    error_message = "limits are max_instances, min_instances, memory_mb, pool_size and concurrency."
  }
  validation {
    condition = alltrue(flatten([for limit in values(var.limits) : [
      lookup(limit, "max_instances", 1) >= 1,
      lookup(limit, "min_instances", 0) >= 0,
      lookup(limit, "min_instances", 0) <= lookup(limit, "max_instances", 1000),
      # One processor, which is what functions have, takes no more.
      lookup(limit, "memory_mb", 128) >= 128 && lookup(limit, "memory_mb", 128) <= 4096,
      lookup(limit, "pool_size", 1) >= 1 && lookup(limit, "pool_size", 1) <= 100,
      lookup(limit, "concurrency", 1) >= 1 && lookup(limit, "concurrency", 1) <= 1000,
      [for value in values(limit) : floor(value) == value],
    ]]))
    error_message = "limits are whole numbers: max_instances at least 1, min_instances at most max_instances, memory_mb 128 to 4096, pool_size 1 to 100, concurrency 1 to 1000."
  }
}

variable "schedules" {
  description = "Other schedules than those endpoints declare, by name, as cron expressions (UTC). There is an alert when what runs every minute no longer does; for what runs less often there is none."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for name in keys(var.schedules) : can(jsondecode(file("${path.module}/functions.json"))[name].schedule)])
    error_message = "schedules names what has no schedule; the names are those of functions.json with one."
  }
  validation {
    condition     = alltrue([for cron in values(var.schedules) : can(regex("^[0-9*/,A-Za-z-]+( [0-9*/,A-Za-z-]+){4}$", cron))])
    error_message = "schedules must be cron expressions of five fields, such as */5 * * * *."
  }
}

variable "retention_days" {
  description = "Days that finished messages and changes of health are kept."
  type        = number
  default     = 30
  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 3650 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days must be a whole number from 1 to 3650."
  }
}

variable "task_retention_days" {
  description = "Days that finished tasks and the history of agents are kept: by whole months."
  type        = number
  default     = 365
  validation {
    condition     = var.task_retention_days >= 1 && var.task_retention_days <= 3650 && floor(var.task_retention_days) == var.task_retention_days
    error_message = "task_retention_days must be a whole number from 1 to 3650."
  }
}

variable "event_retention_days" {
  description = "Days that events and the records of schedules are kept."
  type        = number
  default     = 30
  validation {
    condition     = var.event_retention_days >= 1 && var.event_retention_days <= 3650 && floor(var.event_retention_days) == var.event_retention_days
    error_message = "event_retention_days must be a whole number from 1 to 3650."
  }
}

variable "deliver_seconds" {
  description = "Seconds of each minute for which messages-deliver goes on, so that what arrives is sent at once; 0: until nothing is due, which costs next to nothing and lets a message to a webhook or topic wait up to a minute."
  type        = number
  default     = 50
  validation {
    condition     = contains(range(61), var.deliver_seconds)
    error_message = "deliver_seconds must be a whole number from 0 to 60."
  }
}

variable "rate_limit_per_minute" {
  description = "Requests a principal may make of one instance in a minute; 0: any number."
  type        = number
  default     = 6000
  validation {
    condition     = var.rate_limit_per_minute >= 0 && floor(var.rate_limit_per_minute) == var.rate_limit_per_minute
    error_message = "rate_limit_per_minute must be a whole number, 0 or more."
  }
}

variable "run_migrations" {
  description = "Whether an apply migrates the database itself. false: apply with -target=module.migrate, let one of deployers run the output migrate_command, then apply the rest."
  type        = bool
  default     = true
}

variable "create_secrets_key" {
  description = "Whether an apply makes the key that encrypts the secrets of webhooks. false: add a version to the secret yourself (32 bytes in base64) and name it in secrets_key_version."
  type        = bool
  default     = true
}

variable "secrets_key_version" {
  description = "Version of the secret with the key that functions read, such as \"2\" after a change of the key; null: the one an apply made."
  type        = string
  default     = null
  validation {
    condition     = var.secrets_key_version != null || var.create_secrets_key
    error_message = "Without create_secrets_key, secrets_key_version must name the version that you added."
  }
}
