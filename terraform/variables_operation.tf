variable "database_version" {
  description = "PostgreSQL of Cloud SQL, such as POSTGRES_17. A change upgrades the instance, with minutes of down time."
  type        = string
  default     = "POSTGRES_17"
  validation {
    condition     = contains(["POSTGRES_15", "POSTGRES_16", "POSTGRES_17", "POSTGRES_18"], var.database_version)
    error_message = "database_version must be POSTGRES_15 to POSTGRES_18."
  }
}

variable "database_tier" {
  description = "Machine of Cloud SQL; null: db-custom-2-7680, or db-g1-small with deployment = \"single\"."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^db-[a-z0-9-]+$", coalesce(var.database_tier, "db-g1-small")))
    error_message = "database_tier must be a machine type such as db-custom-2-7680."
  }
}

variable "database_instance" {
  description = "Name of the Cloud SQL instance; null: the prefix. Another one after a restore to a new instance."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", coalesce(var.database_instance, "cams")))
    error_message = "database_instance must be lower-case letters, digits and hyphens."
  }
}

variable "max_connections" {
  description = "Connections that PostgreSQL takes; null: as many as fit the tier's memory. A plan that could open more is refused."
  type        = number
  default     = null
  validation {
    condition     = coalesce(var.max_connections, 25) >= 25 && coalesce(var.max_connections, 25) <= 10000
    error_message = "max_connections must be 25 to 10000."
  }
}

variable "high_availability" {
  description = "Whether a second zone of the region holds a standby of the database, at twice the price."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether Terraform and Google Cloud refuse to delete the database. To remove an installation: false, apply, destroy."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "Daily backups that are kept; the database can be restored to any moment of the last 7 days of them."
  type        = number
  default     = 14
  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 365
    error_message = "backup_retention_days must be 1 to 365."
  }
}

variable "maintenance_day" {
  description = "Day on which Google maintains the database: 1 (Monday) to 7 (Sunday)."
  type        = number
  default     = 7
  validation {
    condition     = contains([1, 2, 3, 4, 5, 6, 7], var.maintenance_day)
    error_message = "maintenance_day must be 1 (Monday) to 7 (Sunday)."
  }
}

variable "maintenance_hour" {
  description = "Hour (UTC) at which that begins."
  type        = number
  default     = 2
  validation {
    condition     = contains(range(24), var.maintenance_hour)
    error_message = "maintenance_hour must be 0 to 23."
  }
}

variable "subnet_cidr" {
  description = "Addresses of the functions' instances. A plan that may need more is refused."
  type        = string
  default     = "10.8.0.0/21"
  validation {
    condition     = can(cidrnetmask(var.subnet_cidr)) && try(tonumber(split("/", var.subnet_cidr)[1]) <= 26, false)
    error_message = "subnet_cidr must be a range of IPv4 addresses such as 10.8.0.0/21, /26 or larger: Cloud Run takes no smaller one."
  }
}

variable "alert_emails" {
  description = "Who is told of alerts, by e-mail."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "alert_emails must be e-mail addresses."
  }
}

variable "monthly_budget" {
  description = "Amount a month, in the billing account's currency, of which half, nine tenths and all are told to alert_emails and the billing administrators; null: none. Stops nothing."
  type        = number
  default     = null
  validation {
    condition     = coalesce(var.monthly_budget, 1) >= 1 && floor(coalesce(var.monthly_budget, 1)) == coalesce(var.monthly_budget, 1)
    error_message = "monthly_budget must be a whole number, 1 or more."
  }
  validation {
    condition     = var.monthly_budget == null || var.billing_account != null
    error_message = "monthly_budget needs billing_account."
  }
}

variable "billing_account" {
  description = "Billing account of the project, as 012345-678901-ABCDEF; for monthly_budget."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", coalesce(var.billing_account, "000000-000000-000000")))
    error_message = "billing_account must look like 012345-678901-ABCDEF."
  }
}
