# The functions reach the database by private addresses, and nothing else is in this network.
resource "google_compute_network" "cams" {
  project                 = var.project
  name                    = var.prefix
  auto_create_subnetworks = false
  depends_on              = [google_project_service.used]
}

resource "google_compute_subnetwork" "functions" {
  project                  = var.project
  region                   = var.region
  name                     = "${var.prefix}-functions"
  network                  = google_compute_network.cams.id
  ip_cidr_range            = var.subnet_cidr
  private_ip_google_access = true

  lifecycle {
    # Google keeps four addresses of each subnet.
    precondition {
      condition     = module.catalog.addresses.sum <= pow(2, 32 - tonumber(split("/", var.subnet_cidr)[1])) - 4
      error_message = "The functions may take ${module.catalog.addresses.sum} addresses, and ${var.subnet_cidr} has ${pow(2, 32 - tonumber(split("/", var.subnet_cidr)[1])) - 4}: choose a larger subnet_cidr, or fewer instances by limits. ${module.catalog.addresses.text}"
    }
  }
}

# Private service access: the range from which Cloud SQL takes its address, by a peering of the two networks.
resource "google_compute_global_address" "database" {
  project       = var.project
  name          = "${var.prefix}-database"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.cams.id
}

resource "google_service_networking_connection" "database" {
  network                 = google_compute_network.cams.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database.name]

  # For days after an instance is gone Google refuses to end the peering; it goes with the network.
  deletion_policy = "ABANDON"
}
