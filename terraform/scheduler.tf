resource "google_cloud_scheduler_job" "schedules" {
  for_each = module.catalog.schedules

  project   = var.project
  region    = var.region
  name      = "${var.prefix}-${each.key}"
  schedule  = each.value.schedule
  time_zone = "Etc/UTC"
  # A little longer than the function takes at most, so that it is the function that says how it ended.
  attempt_deadline = "${each.value.timeout_seconds + 15}s"

  # The next minute is the repetition of what runs every minute; a day is too long to wait. What is called may overlap
  # and be repeated: nothing relies on the scheduler's doing neither.
  retry_config {
    retry_count          = startswith(each.value.schedule, "* ") ? 0 : 3
    min_backoff_duration = "60s"
  }

  http_target {
    http_method = each.value.method
    uri         = "${local.urls[each.value.service]}${each.value.path}"

    oidc_token {
      service_account_email = local.emails["scheduler"]
      audience              = local.urls[each.value.service]
    }
  }

  depends_on = [module.function]
}
