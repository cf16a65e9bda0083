# The API Gateway, from the derived gateway.json: to each backend its address is added, and for whom the gateway's token is.
locals {
  gateway_document = jsondecode(file("${path.module}/gateway.json"))
  gateway_backends = local.front != "gateway" ? {} : {
    for name, backend in local.gateway_document.x-google-api-management.backends : name => merge(backend, {
      address     = local.urls[name]
      jwtAudience = local.urls[name]
    })
  }
  gateway_contents = jsonencode(merge(local.gateway_document, {
    x-google-api-management = merge(local.gateway_document.x-google-api-management, { backends = local.gateway_backends })
  }))
}

resource "google_api_gateway_api" "cams" {
  count    = local.front == "gateway" ? 1 : 0
  provider = google-beta

  project    = var.project
  api_id     = var.prefix
  depends_on = [google_project_service.used]
}

resource "google_api_gateway_api_config" "cams" {
  count    = local.front == "gateway" ? 1 : 0
  provider = google-beta

  project       = var.project
  api           = google_api_gateway_api.cams[0].api_id
  api_config_id = "${var.prefix}-${substr(sha256("${local.gateway_contents} ${local.emails["gateway"]}"), 0, 12)}"

  openapi_documents {
    document {
      path     = "gateway.json"
      contents = base64encode(local.gateway_contents)
    }
  }

  gateway_config {
    backend_config {
      google_service_account = local.emails["gateway"]
    }
  }

  depends_on = [google_service_account.cams]

  # A configuration cannot be changed, and the gateway must have the new one before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_api_gateway_gateway" "cams" {
  count    = local.front == "gateway" ? 1 : 0
  provider = google-beta

  project    = var.project
  region     = var.region
  gateway_id = var.prefix
  api_config = google_api_gateway_api_config.cams[0].id
  depends_on = [module.function]
}
