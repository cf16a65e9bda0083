terraform {
  # Write-only arguments, which keep the key of the webhooks' secrets out of the state, need 1.11.
  required_version = ">= 1.11"

  required_providers {
    # 7.25 is the first release with both direct_vpc_network_interface on functions and database_roles on users.
    google = {
      source  = "hashicorp/google"
      version = ">= 7.25, < 8"
    }
    # The API Gateway is only here.
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 7.25, < 8"
    }
    random = {
      source  = "hashicorp/random"
      version = ">= 3.7, < 4"
    }
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = local.labels

  # The budget's API counts calls against a project, which a person's credentials do not name.
  billing_project       = var.project
  user_project_override = true
}

provider "google-beta" {
  project        = var.project
  region         = var.region
  default_labels = local.labels

  billing_project       = var.project
  user_project_override = true
}
