variable "name" {
  description = "Name of the function and of its Cloud Run service."
  type        = string
}

variable "entry_point" {
  description = "Name under which the code registered it."
  type        = string
}

variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Where it runs."
  type        = string
}

variable "source_code" {
  description = "The zip on this machine, its SHA-256, and the bucket it goes to."
  type        = object({ bucket = string, zip = string, sha256 = string })
}

variable "build" {
  description = "Who builds it, and the repository for the image."
  type        = object({ account = string, repository = string })
}

variable "account" {
  description = "E-mail address of the service account it runs as."
  type        = string
}

variable "limits" {
  description = "Memory in MB, time in seconds, requests at once in an instance, instances."
  type = object({
    memory_mb       = number
    timeout_seconds = number
    concurrency     = number
    min_instances   = number
    max_instances   = number
  })
}

variable "network" {
  description = "Network and subnet in which it reaches the database; null: it needs none."
  type        = object({ network = string, subnetwork = string })
}

variable "ingress" {
  description = "From where it can be reached: ALLOW_ALL, ALLOW_INTERNAL_ONLY or ALLOW_INTERNAL_AND_GCLB."
  type        = string
}

variable "invokers" {
  description = "Who may call it, as members of IAM; nobody else, whoever was added by hand."
  type        = list(string)
}

variable "environment" {
  description = "Its environment; what is null or empty is left out."
  type        = map(string)
}

variable "secrets" {
  description = "Environment variables that come from Secret Manager: id of the secret, and version."
  type        = map(object({ secret = string, version = string }))
  default     = {}
}
