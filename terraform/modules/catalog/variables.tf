variable "functions" {
  description = "The endpoints, by name: functions.json."
  type = map(object({
    method          = string
    path            = string
    role            = string
    account         = string
    database_role   = string
    rights          = list(string)
    memory_mb       = number
    timeout_seconds = number
    concurrency     = number
    max_instances   = number
    pool_size       = number
    listens         = bool
    schedule        = optional(string)
  }))
  validation {
    condition     = alltrue([for f in var.functions : contains(["public", "agent", "operator", "admin", "system"], f.role)])
    error_message = "Every function has one of the roles public, agent, operator, admin, system."
  }
  validation {
    condition     = alltrue([for f in var.functions : contains(["cams_reader", "cams_agent", "cams_operator", "cams_system", "cams_migrator"], coalesce(f.database_role, "cams_reader"))])
    error_message = "Every function has one of the five database roles, or null."
  }
  validation {
    condition     = alltrue([for name, f in var.functions : (f.database_role == "cams_migrator") == (name == "system-migrate")])
    error_message = "The database role cams_migrator is system-migrate's alone."
  }
  validation {
    condition     = alltrue([for f in var.functions : length(setsubtract(f.rights, ["secrets", "pubsub"])) == 0])
    error_message = "The rights that a function can have are secrets and pubsub."
  }
  validation {
    condition     = alltrue([for f in var.functions : f.schedule == null || f.role == "system"])
    error_message = "Only functions of the role system have a schedule: the scheduler may call no other."
  }
  validation {
    condition     = try(var.functions["system-migrate"].role, "") == "system"
    error_message = "There is no function system-migrate of the role system: nothing could migrate the database."
  }
}

variable "deployment" {
  description = "\"functions\": a service for each endpoint. \"single\": cams for all of them, and system-migrate."
  type        = string
}

variable "limits" {
  description = "Other limits than the declared ones, by service and name of the limit."
  type        = map(map(number))
  default     = {}
}

variable "schedules" {
  description = "Other schedules than the declared ones, by function."
  type        = map(string)
  default     = {}
}

variable "project" {
  description = "Id of the project, of which the accounts have a part of their names."
  type        = string
}

variable "prefix" {
  description = "First part of every name."
  type        = string
}
