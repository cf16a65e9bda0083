# What follows from the declarations, and which declarations are refused.

variables {
  deployment = "functions"
  project    = "my-project"
  prefix     = "cams"
  functions = {
    things-get     = { method = "GET", path = "/v1/things/{thingId}", role = "agent", account = "agent", database_role = "cams_agent", rights = [], memory_mb = 256, timeout_seconds = 60, concurrency = 80, max_instances = 4, pool_size = 2, listens = false }
    things-wait    = { method = "POST", path = "/v1/things/wait", role = "agent", account = "waiting", database_role = "cams_agent", rights = ["secrets"], memory_mb = 256, timeout_seconds = 60, concurrency = 500, max_instances = 5, pool_size = 2, listens = true }
    things-send    = { method = "POST", path = "/v1/things/send", role = "system", account = "waiting", database_role = "cams_agent", rights = ["pubsub"], memory_mb = 1024, timeout_seconds = 90, concurrency = 1, max_instances = 1, pool_size = 1, listens = false, schedule = "* * * * *" }
    system-live    = { method = "GET", path = "/health/live", role = "public", account = "public", database_role = null, rights = [], memory_mb = 256, timeout_seconds = 60, concurrency = 80, max_instances = 9, pool_size = 9, listens = false }
    system-migrate = { method = "POST", path = "/v1/system/migrate", role = "system", account = "migrator", database_role = "cams_migrator", rights = [], memory_mb = 256, timeout_seconds = 600, concurrency = 1, max_instances = 1, pool_size = 1, listens = false }
  }
}

run "sums_and_accounts" {
  command = plan
  module {
    source = "./modules/catalog"
  }

  assert {
    condition     = output.connections.sum == 2 * 4 * 2 + (2 + 1) * 5 * 2 + 1 * 1 * 2 + 1 * 1 * 2 + 15
    error_message = "The connections do not add up: (pool + 1 if it listens) x instances x 2, and 15."
  }
  assert {
    condition     = strcontains(output.connections.text, "30 things-wait") && !strcontains(output.connections.text, "system-live")
    error_message = "It is not shown how the connections add up."
  }
  assert {
    condition     = output.addresses.sum == 16 + 32 + 16 + 16
    error_message = "The addresses do not add up: four for each instance, in blocks of 16, of what needs the database."
  }
  assert {
    condition = jsonencode(output.accounts) == jsonencode({
      agent    = { database_roles = ["cams_agent"], rights = [] }
      waiting  = { database_roles = ["cams_agent"], rights = ["pubsub", "secrets"] }
      public   = { database_roles = [], rights = [] }
      migrator = { database_roles = ["cams_migrator"], rights = [] }
    })
    error_message = "An account has not the union of what its functions need."
  }
  assert {
    condition     = output.database_users == { agent = "cams-agent@my-project.iam", waiting = "cams-waiting@my-project.iam", migrator = "cams-migrator@my-project.iam" }
    error_message = "There is not one database user for each account that needs the database."
  }
  assert {
    condition     = output.schedules == { things-send = { schedule = "* * * * *", method = "POST", path = "/v1/things/send", timeout_seconds = 90, service = "things-send" } }
    error_message = "The schedules are not those that are declared."
  }
}

run "limits" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    limits = { things-get = { max_instances = 10, min_instances = 1 } }
  }

  assert {
    condition     = output.services["things-get"].max_instances == 10 && output.services["things-get"].min_instances == 1 && output.services["things-get"].pool_size == 2
    error_message = "A limit does not take the place of the declared one, or takes others with it."
  }
  assert {
    condition     = output.connections.sum == 2 * 10 * 2 + 30 + 2 + 2 + 15
    error_message = "The sum forgets the limits."
  }
}

run "more_at_least_than_at_most" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    limits = { things-get = { min_instances = 5 } }
  }
  expect_failures = [output.services]
}

run "single" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    deployment = "single"
  }

  assert {
    condition     = keys(output.services) == ["cams", "system-migrate"] && output.services["cams"].database_roles == tolist(["cams_agent"]) && output.services["cams"].rights == tolist(["pubsub", "secrets"])
    error_message = "cams has other rights than the functions in it, or the migrator's."
  }
  assert {
    condition     = output.services["cams"].memory_mb == 1024 && output.services["cams"].timeout_seconds == 90 && output.services["cams"].concurrency == 500 && output.services["cams"].listens
    error_message = "cams has less than one of the functions in it needs."
  }
  assert {
    condition     = output.schedules["things-send"].service == "cams"
    error_message = "The scheduler calls a function that is not there."
  }
}

run "an_unknown_role" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = merge(var.functions, { things-get = merge(var.functions.things-get, { role = "anybody" }) })
  }
  expect_failures = [var.functions]
}

run "an_unknown_database_role" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = merge(var.functions, { things-get = merge(var.functions.things-get, { database_role = "cams_owner" }) })
  }
  expect_failures = [var.functions]
}

run "an_unknown_right" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = merge(var.functions, { things-get = merge(var.functions.things-get, { rights = ["everything"] }) })
  }
  expect_failures = [var.functions]
}

run "a_second_migrator" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = merge(var.functions, { things-get = merge(var.functions.things-get, { account = "migrator", database_role = "cams_migrator" }) })
  }
  expect_failures = [var.functions]
}

run "a_schedule_of_what_is_not_system" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = merge(var.functions, { things-get = merge(var.functions.things-get, { schedule = "* * * * *" }) })
  }
  expect_failures = [var.functions]
}

run "nothing_that_migrates" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = { for name, f in var.functions : name => f if name != "system-migrate" }
  }
  expect_failures = [var.functions]
}

run "two_database_roles_for_one_account" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = merge(var.functions, { things-list = merge(var.functions.things-get, { role = "operator", database_role = "cams_operator" }) })
  }
  expect_failures = [output.accounts]
}

run "names_too_long" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    functions = merge(var.functions, { an-endpoint-whose-name-says-all-that-it-is-for = merge(var.functions.things-get, { account = "an-account-for-one-thing-only" }) })
  }
  expect_failures = [output.names, output.accounts]
}

run "a_database_user_too_long_for_postgresql" {
  command = plan
  module {
    source = "./modules/catalog"
  }
  variables {
    project   = "a-project-with-thirty-letters-"
    functions = merge(var.functions, { things-get = merge(var.functions.things-get, { account = "an-account-for-one-thing" }) })
  }
  expect_failures = [output.database_users]
}
