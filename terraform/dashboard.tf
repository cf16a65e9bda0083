locals {
  # Title and question of each chart, in rows of three.
  charts = [
    { title = "Requests a second, by function", query = "sum by (service_name) (rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",${local.promql}}[$${__interval}]))" },
    { title = "5xx a second, by function", query = "sum by (service_name) (rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",${local.promql},response_code_class=\"5xx\"}[$${__interval}]))" },
    { title = "Latency, 95th percentile (ms)", query = "histogram_quantile(0.95, sum by (service_name, le) (rate(run_googleapis_com:request_latencies_bucket{monitored_resource=\"cloud_run_revision\",${local.promql}}[$${__interval}])))" },
    { title = "Instances, by function", query = "sum by (service_name) (run_googleapis_com:container_instance_count{monitored_resource=\"cloud_run_revision\",${local.promql}})" },
    { title = "Good ends of scheduled calls", query = "sum by (function) (increase(logging_googleapis_com:user_${replace(google_logging_metric.runs.name, "/[^A-Za-z0-9]/", "_")}{monitored_resource=\"cloud_run_revision\"}[$${__interval}]))" },
    { title = "Failed attempts of delivery", query = "sum(increase(logging_googleapis_com:user_${replace(google_logging_metric.failed_deliveries.name, "/[^A-Za-z0-9]/", "_")}{monitored_resource=\"cloud_run_revision\"}[$${__interval}]))" },
    { title = "Database connections (of ${local.max_connections})", query = "sum(cloudsql_googleapis_com:database_postgresql_num_backends{monitored_resource=\"cloudsql_database\",database_id=\"${var.project}:${google_sql_database_instance.cams.name}\"})" },
    { title = "Database processors, share in use", query = "max(cloudsql_googleapis_com:database_cpu_utilization{monitored_resource=\"cloudsql_database\",database_id=\"${var.project}:${google_sql_database_instance.cams.name}\"})" },
    { title = "Database disk, share in use", query = "max(cloudsql_googleapis_com:database_disk_utilization{monitored_resource=\"cloudsql_database\",database_id=\"${var.project}:${google_sql_database_instance.cams.name}\"})" },
  ]
}

resource "google_monitoring_dashboard" "cams" {
  project = var.project
  dashboard_json = jsonencode({
    displayName = "CAMS (${var.prefix})"
    mosaicLayout = {
      columns = 48
      tiles = [for position, chart in local.charts : {
        xPos   = position % 3 * 16
        yPos   = floor(position / 3) * 16
        width  = 16
        height = 16
        widget = {
          title   = chart.title
          xyChart = { dataSets = [{ plotType = "LINE", timeSeriesQuery = { prometheusQuery = chart.query } }] }
        }
      }]
    }
  })
  depends_on = [google_project_service.used]
}
