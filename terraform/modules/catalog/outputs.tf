output "services" {
  description = "What is to be deployed, by name: entry point, account, database roles, rights, limits."
  value       = local.services
}

output "accounts" {
  description = "Accounts that services run as, with the union of what these need."
  value       = local.accounts
  precondition {
    condition     = alltrue([for name, account in local.accounts : name == "single" || length(account.database_roles) <= 1])
    error_message = "An account has one database role at most: ${join("; ", [for name, account in local.accounts : "${name} would have ${join(" and ", account.database_roles)}" if length(account.database_roles) > 1])}."
  }
}

output "schedules" {
  description = "What the scheduler calls: cron expression (UTC), method, path, limit in seconds, and the service that serves it."
  value = {
    for name, f in var.functions : name => {
      schedule        = f.schedule
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
