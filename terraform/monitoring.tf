locals {
  channels = values(google_monitoring_notification_channel.emails)[*].id
  # By all names: another installation's prefix may begin with this one's.
  names_regex = join("|", values(local.names))
  ours        = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=~\"^(${local.names_regex})$\""
  promql      = "service_name=~\"${local.names_regex}\""

  # What the service says when somebody should look, in its own words.
  watched_lines = {
    sweep-frozen      = { severity = "ALERT", message = "sweep frozen: too many inboxes would go offline at once", advice = "No inbox is taken for offline. If they really are, call health-sweep with force; else look at what keeps reports from coming." }
    audit-tampered    = { severity = "ALERT", message = "the audit was tampered with", advice = "audit-verify found an entry that does not fit the one before it: brokenAt in the log line." }
    default-partition = { severity = "ALERT", message = "finished rows are in the archive's default partition: none was made for their time", advice = "system-retention has not run for two weeks, or could not make partitions." }
    secret-unreadable = { severity = "ERROR", message = "a secret cannot be read", advice = "SECRETS_KEY lacks a key that a webhook's secret was encrypted with." }
    not-recorded      = { severity = "ERROR", message = "attempts not recorded: their messages will be sent again", advice = "messages-deliver could not write down what it sent." }
    dead-letters      = { severity = "WARNING", message = "messages dead-lettered", advice = "They used up their attempts: GET /v1/messages?status=DEAD_LETTERED says why, messages-redrive sends them again." }
    long-wait         = { severity = "WARNING", message = "a message has waited for more than a day", advice = "Its agent does not pull, is offline or paused: GET /v1/messages?status=QUEUED, the oldest last." }
    framework-path    = { severity = "WARNING", message = "requests come by the framework's own path, which is slower", advice = "The take-over of the server did not happen: a new base image, or another version of the Functions Framework." }
    internal-error    = { severity = "ERROR", message = "internal error", advice = "A fault of the service: the line has the stack." }
  }

  # Every minute, so that ten minutes without a good end are no chance.
  minutely = toset([for name, s in module.catalog.schedules : name if startswith(s.schedule, "* ")])
}

resource "google_monitoring_notification_channel" "emails" {
  for_each = toset(var.alert_emails)

  project      = var.project
  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.used]
}

# By the line itself: a metric made of lines is not there before the first, and would not show that one.
resource "google_monitoring_alert_policy" "lines" {
  for_each = local.watched_lines

  project               = var.project
  display_name          = "CAMS: ${each.value.message}"
  combiner              = "OR"
  notification_channels = local.channels
  user_labels           = local.labels
  depends_on            = [google_project_service.used]

  conditions {
    display_name = each.value.message
    condition_matched_log {
      filter = "${local.ours} AND severity=\"${each.value.severity}\" AND jsonPayload.message:\"${each.value.message}\""
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }
}

# Good ends of scheduled calls, by function.
resource "google_logging_metric" "runs" {
  project    = var.project
  name       = "${var.prefix}/runs"
  filter     = "${local.ours} AND jsonPayload.outcome=\"ok\" AND jsonPayload.function=(${join(" OR ", [for name in keys(module.catalog.schedules) : "\"${name}\""])})"
  depends_on = [google_project_service.used]
  label_extractors = {
    function = "EXTRACT(jsonPayload.function)"
  }
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels {
      key        = "function"
      value_type = "STRING"
    }
  }
}

resource "google_logging_metric" "scheduler_failures" {
  project    = var.project
  name       = "${var.prefix}/scheduler-failures"
  filter     = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=~\"^(${join("|", [for name in keys(module.catalog.schedules) : "${var.prefix}-${name}"])})$\" AND severity>=ERROR"
  depends_on = [google_project_service.used]
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
}

resource "google_logging_metric" "failed_deliveries" {
  project    = var.project
  name       = "${var.prefix}/failed-deliveries"
  filter     = "${local.ours} AND jsonPayload.message=\"delivery failed\""
  depends_on = [google_project_service.used]
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
}

locals {
  # Each as a question to which any answer is a reason to look, and for how long it must be so.
  alerts = merge(
    {
      for name in local.minutely : "${name}-absent" => {
        title    = "CAMS: ${name} has not ended well for ten minutes"
        query    = "(sum(increase(logging_googleapis_com:user_${replace(google_logging_metric.runs.name, "/[^A-Za-z0-9]/", "_")}{monitored_resource=\"cloud_run_revision\",function=\"${name}\"}[10m])) or vector(0)) < 1"
        duration = "300s"
        advice   = "Look at the job ${var.prefix}-${name} of Cloud Scheduler and at the log of the function."
      }
    },
    {
      scheduler-failures = {
        title    = "CAMS: scheduled calls fail"
        query    = "sum(increase(logging_googleapis_com:user_${replace(google_logging_metric.scheduler_failures.name, "/[^A-Za-z0-9]/", "_")}{monitored_resource=\"cloud_scheduler_job\"}[15m])) > 2"
        duration = "0s"
        advice   = "Cloud Scheduler's log says which job, and with what answer."
      }
      server-errors = {
        title    = "CAMS: more than one request in twenty is answered 5xx"
        query    = "sum(rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",${local.promql},response_code_class=\"5xx\"}[5m])) / sum(rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",${local.promql}}[5m])) > 0.05"
        duration = "300s"
        advice   = "503 database_unavailable or overloaded in the log lines' outcome: the database or the limits; 500: a fault of the service."
      }
      connections = {
        title    = "CAMS: four fifths of the database's connections are in use"
        query    = "sum(cloudsql_googleapis_com:database_postgresql_num_backends{monitored_resource=\"cloudsql_database\",database_id=\"${var.project}:${google_sql_database_instance.cams.name}\"}) > ${floor(0.8 * local.max_connections)}"
        duration = "300s"
        advice   = "More than the functions may open (output connections): who else connects?"
      }
      database-cpu = {
        title    = "CAMS: the database's processors are busy"
        query    = "max(cloudsql_googleapis_com:database_cpu_utilization{monitored_resource=\"cloudsql_database\",database_id=\"${var.project}:${google_sql_database_instance.cams.name}\"}) > 0.9"
        duration = "900s"
        advice   = "A larger database_tier; Query Insights shows which statements."
      }
      disk = {
        title    = "CAMS: the database's disk is four fifths full"
        query    = "max(cloudsql_googleapis_com:database_disk_utilization{monitored_resource=\"cloudsql_database\",database_id=\"${var.project}:${google_sql_database_instance.cams.name}\"}) > 0.8"
        duration = "900s"
        advice   = "It grows by itself; if it does not, its limit or the quota is reached."
      }
    },
    {
      for check in google_monitoring_uptime_check_config.ready : "not-ready" => {
        title    = "CAMS: not ready, as seen from outside"
        query    = "avg(avg_over_time(monitoring_googleapis_com:uptime_check_check_passed{monitored_resource=\"uptime_url\",check_id=\"${check.uptime_check_id}\"}[10m])) < 0.5"
        duration = "300s"
        advice   = "GET /health/ready through the front: its answer says what is missing."
      }
    },
  )

  # Where everybody may ask whether the service is ready; with IAM before the functions only who invokes them can.
  outside = (
    local.front == "gateway" ? google_api_gateway_gateway.cams[0].default_hostname :
    local.front == "load_balancer" ? var.domain :
    local.open[local.ready] ? trimprefix(local.urls[local.ready], "https://") : null
  )
}

resource "google_monitoring_alert_policy" "alerts" {
  for_each = local.alerts

  project               = var.project
  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title
    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.duration
      evaluation_interval = "60s"
      # Metrics of lines that were never logged do not exist yet.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }
}

resource "google_monitoring_uptime_check_config" "ready" {
  count = local.front != "none" || local.open[local.ready] ? 1 : 0

  project          = var.project
  display_name     = "${var.prefix} ready"
  timeout          = "30s"
  period           = "300s"
  selected_regions = ["EUROPE", "USA_OREGON", "ASIA_PACIFIC"]

  http_check {
    path         = "/health/ready"
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project, host = local.outside }
  }

  depends_on = [google_project_service.used]
}

resource "google_billing_budget" "monthly" {
  count = var.monthly_budget == null ? 0 : 1

  billing_account = var.billing_account
  display_name    = "${var.prefix} in ${var.project}"

  budget_filter {
    projects = ["projects/${local.number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  # Five channels are what a budget takes, and a rule without any is none.
  dynamic "all_updates_rule" {
    for_each = length(local.channels) > 0 ? [slice(local.channels, 0, min(5, length(local.channels)))] : []
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }

  depends_on = [google_project_service.used]
}
