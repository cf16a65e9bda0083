# A global load balancer with a certificate of Google's making: one serverless backend and one route for each endpoint.
locals {
  balanced = local.front == "load_balancer" ? { for name, f in jsondecode(file("${path.module}/functions.json")) : name => f if f.role != "system" } : {}

  # In the order of paths "{" comes after every letter: what is spelled out goes before what fits anything.
  routes = [for key in sort([for name, f in local.balanced : "${f.path} ${f.method} ${name}"]) : split(" ", key)]
}

resource "google_compute_region_network_endpoint_group" "functions" {
  for_each = local.balanced

  project               = var.project
  region                = var.region
  name                  = local.names[each.key]
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = module.function[each.key].name
  }
}

resource "google_compute_backend_service" "functions" {
  for_each = local.balanced

  project               = var.project
  name                  = local.names[each.key]
  load_balancing_scheme = "EXTERNAL_MANAGED"
  backend {
    group = google_compute_region_network_endpoint_group.functions[each.key].id
  }
}

resource "google_compute_url_map" "cams" {
  count = local.front == "load_balancer" ? 1 : 0

  project = var.project
  name    = var.prefix
  # What fits no route is answered 404 there, as a problem like any other.
  default_service = google_compute_backend_service.functions["system-live"].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "endpoints"
  }

  path_matcher {
    name            = "endpoints"
    default_service = google_compute_backend_service.functions["system-live"].id

    dynamic "route_rules" {
      for_each = local.routes
      content {
        priority = route_rules.key + 1
        service  = google_compute_backend_service.functions[route_rules.value[2]].id
        match_rules {
          path_template_match = replace(route_rules.value[0], "/\\{[^}]+\\}/", "*")
          header_matches {
            header_name = ":method"
            exact_match = route_rules.value[1]
          }
        }
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "cams" {
  count = local.front == "load_balancer" ? 1 : 0

  project = var.project
  # A certificate cannot be changed, and is in use while the next one is made.
  name = "${var.prefix}-${substr(sha256(var.domain), 0, 8)}"
  managed {
    domains = [var.domain]
  }
  depends_on = [google_project_service.used]
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "cams" {
  count = local.front == "load_balancer" ? 1 : 0

  project         = var.project
  name            = var.prefix
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.used]
}

resource "google_compute_target_https_proxy" "cams" {
  count = local.front == "load_balancer" ? 1 : 0

  project          = var.project
  name             = var.prefix
  url_map          = google_compute_url_map.cams[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.cams[0].id]
  ssl_policy       = google_compute_ssl_policy.cams[0].id
}

resource "google_compute_global_address" "front" {
  count = local.front == "load_balancer" ? 1 : 0

  project    = var.project
  name       = "${var.prefix}-front"
  depends_on = [google_project_service.used]
}

resource "google_compute_global_forwarding_rule" "cams" {
  count = local.front == "load_balancer" ? 1 : 0

  project               = var.project
  name                  = var.prefix
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.front[0].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.cams[0].id
}
