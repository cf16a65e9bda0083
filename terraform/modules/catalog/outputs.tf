output "services" {
  description = "What is to be deployed, by name: entry point, account, database roles, rights, limits."
  value       = local.services
  precondition {
    condition     = alltrue([for s in local.services : s.min_instances <= s.max_instances])
    error_message = "min_instances is above max_instances for ${join(", ", [for name, s in local.services : name if s.min_instances > s.max_instances])}: raise max_instances too."
  }
}

output "accounts" {
  description = "Accounts that services run as, with the union of what these need."
  value       = local.accounts
  precondition {
    condition     = alltrue([for name, account in local.accounts : name == "single" || length(account.database_roles) <= 1])
    error_message = "An account has one database role at most: ${join("; ", [for name, account in local.accounts : "${name} would have ${join(" and ", account.database_roles)}" if length(account.database_roles) > 1])}."
  }
  precondition {
    condition     = alltrue([for name in keys(local.accounts) : length("${var.prefix}-${name}") <= 30])
    error_message = "The id of a service account has at most 30 characters: choose a shorter prefix, or a shorter name for ${join(", ", [for name in keys(local.accounts) : name if length("${var.prefix}-${name}") > 30])}."
  }
}

output "emails" {
  description = "E-mail addresses of these accounts. Spelled out, not asked of them, so that a plan can show who may do what."
  value       = local.emails
}

output "database_users" {
  description = "Names in PostgreSQL of those accounts that need the database."
  value       = local.database_users
  # It would cut the name, and grants would be for somebody else.
  precondition {
    condition     = alltrue([for user in values(local.database_users) : length(user) <= 63])
    error_message = "A name in PostgreSQL has at most 63 bytes: choose a shorter prefix for ${join(", ", [for user in values(local.database_users) : user if length(user) > 63])}."
  }
}

output "names" {
  description = "Names of functions and their services in Google Cloud, by service."
  value       = local.names
  # With a hyphen and the project's number a name is one label of its URL, 63 characters at most.
  precondition {
    condition     = alltrue([for full in values(local.names) : length(full) <= 49])
    error_message = "A function's name has at most 49 characters: choose a shorter prefix for ${join(", ", [for full in values(local.names) : full if length(full) > 49])}."
  }
}

output "schedules" {
  description = "What the scheduler calls: cron expression (UTC), method, path, limit in seconds, and the service that serves it."
  value = {
    for name, f in var.functions : name => {
      schedule        = lookup(var.schedules, name, f.schedule)
      method          = f.method
      path            = f.path
      timeout_seconds = f.timeout_seconds
      service         = var.deployment == "single" ? "cams" : name
    } if f.schedule != null
  }
}

output "connections" {
  description = "Connections that PostgreSQL may be asked for at most, and how they add up."
  value = {
    sum  = sum(concat([local.reserved], values(local.connections)))
    text = join(" + ", concat([for name, count in local.connections : "${count} ${name}"], ["${local.reserved} reserved"]))
  }
}

output "addresses" {
  description = "Addresses of the subnet that instances may take at most, and how they add up."
  value = {
    sum  = sum(concat([0], values(local.addresses)))
    text = join(" + ", [for name, count in local.addresses : "${count} ${name}"])
  }
}
