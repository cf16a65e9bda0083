# What follows from the declarations alone: no provider, so its rules can be tested by themselves.

locals {
  each_its_own = {
    for name, f in var.functions : name => {
      entry_point     = name
      role            = f.role
      account         = f.account
      database_roles  = compact([f.database_role])
      rights          = sort(f.rights)
      memory_mb       = f.memory_mb
      timeout_seconds = f.timeout_seconds
      concurrency     = f.concurrency
      min_instances   = 0
      max_instances   = f.max_instances
      pool_size       = f.pool_size
      listens         = f.listens
    }
  }

  # What is in the process that serves everything: the migrator's rights are not.
  together = [for name, f in local.each_its_own : f if name != "system-migrate"]
  single = {
    cams = {
      entry_point     = "cams"
      role            = "any"
      account         = "single"
      database_roles  = sort(distinct(flatten(local.together[*].database_roles)))
      rights          = sort(distinct(flatten(local.together[*].rights)))
      memory_mb       = max(512, local.together[*].memory_mb...)
      timeout_seconds = max(local.together[*].timeout_seconds...)
      concurrency     = max(local.together[*].concurrency...)
      min_instances   = 0
      max_instances   = 1
      pool_size       = 3
      listens         = anytrue(local.together[*].listens)
    }
    system-migrate = local.each_its_own["system-migrate"]
  }

  declared = { for name, s in merge(local.each_its_own, local.single) : name => s if var.deployment == "single" ? contains(keys(local.single), name) : name != "cams" }
  services = { for name, s in local.declared : name => merge(s, lookup(var.limits, name, {})) }

  with_database = { for name, s in local.services : name => s if length(s.database_roles) > 0 }

  # Twice: in a deployment the instances of two revisions overlap. 15 stay for people, backups and what Google runs.
  connections = { for name, s in local.with_database : name => (s.pool_size * length(s.database_roles) + (s.listens ? 1 : 0)) * s.max_instances * 2 }
  reserved    = 15

  # Cloud Run holds about two addresses for each instance and takes them in blocks of 16; twice, as above.
  addresses = { for name, s in local.with_database : name => 16 * ceil(s.max_instances * 2 * 2 / 16) }

  accounts = {
    for account in distinct(values(local.services)[*].account) : account => {
      database_roles = sort(distinct(flatten([for s in local.services : s.database_roles if s.account == account])))
      rights         = sort(distinct(flatten([for s in local.services : s.rights if s.account == account])))
    }
  }

  names          = { for name in keys(local.services) : name => name == "cams" ? var.prefix : "${var.prefix}-${name}" }
  emails         = { for name in keys(local.accounts) : name => "${var.prefix}-${name}@${var.project}.iam.gserviceaccount.com" }
  database_users = { for name, account in local.accounts : name => trimsuffix(local.emails[name], ".gserviceaccount.com") if length(account.database_roles) > 0 }
}
