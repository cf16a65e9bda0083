output "url" {
  description = "Where the service answers; null where each function has its own URL (function_urls)."
  value = (
    local.front == "gateway" ? "https://${google_api_gateway_gateway.cams[0].default_hostname}" :
    local.front == "load_balancer" ? "https://${var.domain}" :
    var.deployment == "single" ? local.urls["cams"] : null
  )
}

output "function_urls" {
  description = "URL of each function, which is also the audience of a token for it."
  value       = local.urls
}

output "load_balancer_ip" {
  description = "Address that the domain's A record must name; the certificate comes after that."
  value       = one(google_compute_global_address.front[*].address)
}

output "migrate_command" {
  description = "With run_migrations = false: what one of deployers runs in the project's folder before the new code may serve."
  value       = var.run_migrations ? null : local.migrate_command
}

output "deployer_account" {
  description = "Who alone may call system-migrate: deployers act as it."
  value       = local.emails["deployer"]
}

output "scheduler_account" {
  description = "Who calls the scheduled functions."
  value       = local.emails["scheduler"]
}

output "delivery_account" {
  description = "Who publishes to Pub/Sub: for topics of another project give it roles/pubsub.publisher there."
  value       = local.emails[local.services[var.deployment == "single" ? "cams" : "messages-deliver"].account]
}

output "database_instance" {
  description = "The Cloud SQL instance, as project:region:name."
  value       = local.connection_name
}

output "connections" {
  description = "Connections the functions may open at most, and how many the database takes."
  value       = "${module.catalog.connections.sum} of ${local.max_connections}"
}

output "secrets_key" {
  description = "Secret with the key that encrypts the secrets of webhooks; to change the key, add a version and set secrets_key_version."
  value       = google_secret_manager_secret.secrets_key.secret_id
}
