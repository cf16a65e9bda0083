# Every variable with every kind of wrong value, one kind a run. In tests/variables there are the variables alone, as links
# to their files: a plan of everything takes 2 s to load the providers, and what is refused here is refused without them.

variables {
  project             = "my-project"
  functions_dir       = "tests/built"
  admins              = ["someone@example.com"]
  auth_issuers        = ["https://accounts.google.com"]
  auth_audiences      = ["cams"]
  create_secrets_key  = false
  secrets_key_version = "1"
}

run "right_values" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    limits    = { messages-send = { min_instances = 1, max_instances = 2 } }
    schedules = { messages-deliver = "*/5 * * * *" }
  }
}

run "wrong_values" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    project               = "example.com:my-project"
    region                = "europe-west1-b"
    prefix                = "Cams"
    deployment            = "both"
    retention_days        = 0
    task_retention_days   = 3651
    event_retention_days  = 0
    deliver_seconds       = 61
    rate_limit_per_minute = -1
    secrets_key_version   = null
    admins                = ["some one@example.com"]
    auth_audiences        = ["a,b"]
    deployers             = ["allUsers"]
    migrate_ingress       = "ALLOW_INTERNAL_AND_GCLB"
    database_version      = "POSTGRES_14"
    database_tier         = "n1-standard-1"
    database_instance     = "My_Database"
    max_connections       = 20
    backup_retention_days = 0
    maintenance_day       = 0
    maintenance_hour      = 24
    subnet_cidr           = "10.8.0.0/27"
    alert_emails          = ["nobody"]
    billing_account       = "my-account"
  }
  expect_failures = [
    var.project, var.region, var.prefix, var.deployment, var.retention_days, var.task_retention_days, var.event_retention_days,
    var.deliver_seconds,
    var.rate_limit_per_minute, var.secrets_key_version, var.admins, var.auth_audiences, var.deployers, var.migrate_ingress, var.database_version, var.database_tier,
    var.database_instance, var.max_connections, var.backup_retention_days, var.maintenance_day, var.maintenance_hour, var.subnet_cidr,
    var.alert_emails, var.billing_account,
  ]
}

# Of variables that are looked at together the second is judged when the first is right.
run "other_wrong_values" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    prefix                = "cams-in-the-far-east"
    functions_dir         = "tests/nothing-here"
    front                 = "proxy"
    limits                = { messages-send = { max_instances = 0 } }
    retention_days        = 1.5
    task_retention_days   = 1.5
    event_retention_days  = 1.5
    rate_limit_per_minute = 0.5
    admins                = ["user:someone@example.com"]
    auth_issuers          = ["http://issuer.example.com"]
    backup_retention_days = 366
    subnet_cidr           = "everything"
    monthly_budget        = 0.5
    billing_account       = "012345-678901-ABCDEF"
  }
  expect_failures = [
    var.prefix, var.functions_dir, var.front, var.limits, var.retention_days, var.task_retention_days, var.event_retention_days,
    var.rate_limit_per_minute, var.admins, var.auth_issuers,
    var.backup_retention_days, var.subnet_cidr, var.monthly_budget,
  ]
}

run "a_load_balancer_without_a_domain" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    front          = "load_balancer"
    functions_dir  = "tests/built-before"
    invokers       = ["allUsers"]
    auth_issuers   = ["https://issuer.example.com", "https://issuer.example.com=https://issuer.example.com/keys"]
    monthly_budget = 100
    limits         = { messages-send = { concurrency = 1001 } }
  }
  expect_failures = [var.domain, var.functions_dir, var.invokers, var.auth_issuers, var.monthly_budget, var.limits]
}

run "a_domain_that_is_a_url" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    front        = "load_balancer"
    domain       = "https://cams.example.com"
    limits       = { messages-send = { pool_size = 101 } }
    schedules    = { messages-send = "* * * * *" }
    auth_issuers = ["https://someone@issuer.example.com"]
  }
  expect_failures = [var.domain, var.limits, var.schedules, var.auth_issuers]
}

run "invokers_and_a_domain_for_a_single_function" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    deployment = "single"
    domain     = "cams.example.com"
    invokers   = ["group:agents@example.com"]
    limits     = { cams = { memory_mb = 4097 } }
    schedules  = { messages-deliver = "every 5 minutes" }

    stream_invokers = ["group:agents@example.com"]
  }
  expect_failures = [var.domain, var.invokers, var.stream_invokers, var.limits, var.schedules]
}

run "a_front_for_a_single_function" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    deployment = "single"
    front      = "gateway"
    limits     = { messages-send = { max_instances = 2 } }
  }
  expect_failures = [var.front, var.limits]
}

run "invokers_that_are_no_members_of_iam" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    front          = "none"
    invokers       = ["agent@my-project.iam.gserviceaccount.com"]
    auth_audiences = []
    limits         = { messages-send = { pool_size = 1.5 } }
  }
  expect_failures = [var.invokers, var.auth_issuers, var.limits]
}

run "a_limit_that_is_misspelt" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    limits          = { messages-pull = { max_instance = 5 } }
    stream_invokers = ["agent@my-project.iam.gserviceaccount.com"]
  }
  expect_failures = [var.limits, var.stream_invokers]
}

run "a_function_that_is_misspelt" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    limits = { messages-sned = { max_instances = 2 } }
  }
  expect_failures = [var.limits]
}

run "more_instances_always_than_ever" {
  command = plan
  module {
    source = "./tests/variables"
  }
  variables {
    limits = { messages-send = { min_instances = 3, max_instances = 2 } }
  }
  expect_failures = [var.limits]
}
