output "name" {
  description = "Name of the function and its service."
  value       = google_cloudfunctions2_function.this.name
}

output "deployed" {
  description = "What it is deployed with, as the resources have it."
  value = {
    account     = google_cloudfunctions2_function.this.service_config[0].service_account_email
    environment = google_cloudfunctions2_function.this.service_config[0].environment_variables
    ingress     = google_cloudfunctions2_function.this.service_config[0].ingress_settings
    invokers    = toset(flatten(google_cloud_run_v2_service_iam_binding.invokers[*].members))
    memory      = google_cloudfunctions2_function.this.service_config[0].available_memory
    cpu         = google_cloudfunctions2_function.this.service_config[0].available_cpu
    concurrency = google_cloudfunctions2_function.this.service_config[0].max_instance_request_concurrency
    instances   = google_cloudfunctions2_function.this.service_config[0].max_instance_count
    timeout     = google_cloudfunctions2_function.this.service_config[0].timeout_seconds
    egress      = google_cloudfunctions2_function.this.service_config[0].direct_vpc_egress
    interfaces  = length(google_cloudfunctions2_function.this.service_config[0].direct_vpc_network_interface)
    secrets     = google_cloudfunctions2_function.this.service_config[0].secret_environment_variables[*].key
    source      = google_storage_bucket_object.source.name
  }
}
