# Named by its content: what did not change is not deployed. The bucket keeps replaced ones as older versions.
resource "google_storage_bucket_object" "source" {
  bucket = var.source_code.bucket
  name   = "${var.entry_point}-${substr(var.source_code.sha256, 0, 16)}.zip"
  source = var.source_code.zip

  # Otherwise a failed upload would leave the function without any source.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_cloudfunctions2_function" "this" {
  project  = var.project
  location = var.region
  name     = var.name

  build_config {
    runtime           = "nodejs24"
    entry_point       = var.entry_point
    service_account   = "projects/${var.project}/serviceAccounts/${var.build.account}"
    docker_repository = var.build.repository

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }

    automatic_update_policy {}
  }

  service_config {
    service_account_email            = var.account
    available_memory                 = "${var.limits.memory_mb}Mi"
    timeout_seconds                  = var.limits.timeout_seconds
    max_instance_request_concurrency = var.limits.concurrency
    min_instance_count               = var.limits.min_instances
    max_instance_count               = var.limits.max_instances
    ingress_settings                 = var.ingress
    all_traffic_on_latest_revision   = true
    environment_variables            = { for name, value in var.environment : name => value if value != null && value != "" }

    # More than one request at once takes a whole processor; less memory than 512 MB comes with a sixth of one.
    available_cpu = var.limits.concurrency > 1 ? "1" : null

    # The database alone is reached through the network; webhooks and Google's services are not.
    direct_vpc_egress = var.network == null ? null : "VPC_EGRESS_PRIVATE_RANGES_ONLY"
    dynamic "direct_vpc_network_interface" {
      for_each = var.network[*]
      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
      }
    }

    dynamic "secret_environment_variables" {
      for_each = var.secrets
      content {
        key        = secret_environment_variables.key
        project_id = var.project
        secret     = secret_environment_variables.value.secret
        version    = secret_environment_variables.value.version
      }
    }
  }

  lifecycle {
    # The signature of a platform token is gone, so it proves something only where Cloud Run turns away all without one.
    precondition {
      condition     = lookup(var.environment, "PLATFORM_AUTH", "none") != "iam" || length(setintersection(var.invokers, ["allUsers", "allAuthenticatedUsers"])) == 0
      error_message = "${var.name} would trust Cloud Run's check of its callers (PLATFORM_AUTH=iam), and everybody may invoke it."
    }
  }
}

# Authoritative: whoever was made an invoker by hand is none after the next apply.
resource "google_cloud_run_v2_service_iam_binding" "invokers" {
  count = length(var.invokers) > 0 ? 1 : 0

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  members  = var.invokers
}
