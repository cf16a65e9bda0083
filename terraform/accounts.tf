locals {
  # Beside those that functions run as: who calls, and who builds.
  callers  = concat(["scheduler", "deployer", "build"], local.front == "gateway" ? ["gateway"] : [])
  accounts = module.catalog.accounts

  emails         = merge(module.catalog.emails, { for name in local.callers : name => "${var.prefix}-${name}@${var.project}.iam.gserviceaccount.com" })
  database_users = module.catalog.database_users

  # The migrator gives itself what it needs; nobody else is ever given its role.
  database_grants = join(",", flatten([
    for name, user in local.database_users : [for role in local.accounts[name].database_roles : "${user}=${role}" if role != "cams_migrator"]
  ]))

  database_rights = {
    for pair in setproduct(keys(local.database_users), ["roles/cloudsql.client", "roles/cloudsql.instanceUser"]) : "${pair[0]} ${pair[1]}" => pair
  }
}

resource "google_service_account" "cams" {
  for_each = local.emails

  project      = var.project
  account_id   = "${var.prefix}-${each.key}"
  display_name = "CAMS ${each.key}"
  depends_on   = [google_project_service.used]
}

# To connect to Cloud SQL, and to log in to it as a database user. Nothing to see there without such a user.
resource "google_project_iam_member" "database" {
  for_each = local.database_rights

  project    = var.project
  role       = each.value[1]
  member     = "serviceAccount:${local.emails[each.value[0]]}"
  depends_on = [google_service_account.cams]
}

resource "google_project_iam_member" "pubsub" {
  for_each = toset([for name, account in local.accounts : name if contains(account.rights, "pubsub")])

  project    = var.project
  role       = "roles/pubsub.publisher"
  member     = "serviceAccount:${local.emails[each.key]}"
  depends_on = [google_service_account.cams]
}

# The source of a function is copied to a bucket of Google's making, from where the build reads it.
resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/storage.objectViewer"])

  project    = var.project
  role       = each.key
  member     = "serviceAccount:${local.emails["build"]}"
  depends_on = [google_service_account.cams]
}

# Who may act as the deployer, which alone may call system-migrate.
data "google_client_openid_userinfo" "applying" {
  count = var.run_migrations ? 1 : 0
}

locals {
  applying = [for user in data.google_client_openid_userinfo.applying : "${endswith(user.email, ".gserviceaccount.com") ? "serviceAccount" : "user"}:${user.email}"]
}

resource "google_service_account_iam_binding" "deployer" {
  count = length(concat(local.applying, var.deployers)) > 0 ? 1 : 0

  service_account_id = "projects/${var.project}/serviceAccounts/${local.emails["deployer"]}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  members            = distinct(concat(local.applying, var.deployers))
  depends_on         = [google_service_account.cams]
}
