# What a plan refuses beside wrong values of variables: sums that do not fit, and an installation that nobody could enter.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google-beta" {}

variables {
  project             = "my-project"
  functions_dir       = "tests/built"
  admins              = ["someone@example.com"]
  auth_issuers        = ["https://accounts.google.com"]
  auth_audiences      = ["cams"]
  create_secrets_key  = false
  secrets_key_version = "1"
}

run "more_than_the_database_and_the_subnet_take" {
  command = plan
  variables {
    limits         = { messages-pull = { max_instances = 50, pool_size = 5 } }
    subnet_cidr    = "10.8.0.0/24"
    auth_issuers   = []
    auth_audiences = []
  }
  expect_failures = [google_sql_database_instance.cams, google_compute_subnetwork.functions, check.first_administrator]
}

run "a_smaller_machine_and_no_administrator" {
  command = plan
  variables {
    database_tier = "db-g1-small"
    admins        = []
  }
  expect_failures = [google_sql_database_instance.cams, check.first_administrator]
}

run "a_front_that_nobody_may_pass" {
  command = plan
  variables {
    front = "none"
  }
  expect_failures = [check.first_administrator]
}
