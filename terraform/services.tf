# Google's services that are used. They stay on when this is destroyed: something else may use them too.
resource "google_project_service" "used" {
  for_each = toset(concat(
    [
      "artifactregistry", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "compute", "iam", "iamcredentials", "logging",
      "monitoring", "pubsub", "run", "secretmanager", "servicenetworking", "sqladmin", "storage",
    ],
    local.front == "gateway" ? ["apigateway", "servicecontrol", "servicemanagement"] : [],
    var.monthly_budget == null ? [] : ["billingbudgets"],
  ))

  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}
