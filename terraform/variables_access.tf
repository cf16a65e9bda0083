variable "front" {
  description = "What stands before the functions: \"gateway\" (the API Gateway; the default), \"load_balancer\" (needs domain) or \"none\" (each function has its URL; the only one with deployment = \"single\")."
  type        = string
  default     = null
  validation {
    condition     = contains(["gateway", "load_balancer", "none"], coalesce(var.front, "none"))
    error_message = "front must be \"gateway\", \"load_balancer\", \"none\" or null."
  }
  validation {
    condition     = var.deployment == "functions" || contains(["none"], coalesce(var.front, "none"))
    error_message = "deployment = \"single\" is one function with a URL of its own: leave front out."
  }
}

variable "domain" {
  description = "Name under which the load balancer answers, such as cams.example.com. Its DNS entry is yours to make: the output load_balancer_ip."
  type        = string
  default     = null
  validation {
    condition     = (coalesce(var.front, "none") == "load_balancer") == (var.domain != null)
    error_message = "domain is needed with front = \"load_balancer\", and is nothing without."
  }
  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", coalesce(var.domain, "example.com")))
    error_message = "domain must be a name such as cams.example.com, in lower case."
  }
}

variable "admins" {
  description = "Principals that are administrators without being registered: the first ones. E-mail addresses of Google accounts, or issuer|subject."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for admin in var.admins : can(regex("^[!-~]+$", admin)) && !strcontains(admin, ",")])
    error_message = "admins must be ids of principals without spaces and commas, such as someone@example.com (not user:someone@example.com)."
  }
  validation {
    condition     = alltrue([for admin in var.admins : !can(regex("^(user|group|domain|serviceAccount):", admin))])
    error_message = "admins are ids of principals, not members of IAM: leave user: and serviceAccount: out."
  }
}

variable "auth_issuers" {
  description = "Issuers (OpenID Connect) whose tokens are taken, as issuer or issuer=URL of its keys; https://accounts.google.com for Google's. With deployment = \"single\" Google's is always taken."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for issuer in var.auth_issuers : can(regex("^https://[^,|=@ ]+(=https://[^,|=@ ]+)?$", issuer))])
    error_message = "auth_issuers must be https URLs, as issuer or issuer=URL of its keys."
  }
  validation {
    condition     = length(distinct([for issuer in var.auth_issuers : split("=", issuer)[0]])) == length(var.auth_issuers)
    error_message = "auth_issuers must name each issuer once."
  }
  validation {
    condition     = length(var.auth_issuers) == 0 || length(var.auth_audiences) > 0 || var.deployment == "single"
    error_message = "With auth_issuers, auth_audiences must say for whom a token has to be."
  }
}

variable "auth_audiences" {
  description = "Audiences of which a token must name one. With deployment = \"single\" the function's own URL is always one."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for audience in var.auth_audiences : can(regex("^[^, ]+$", audience))])
    error_message = "auth_audiences must not contain spaces and commas."
  }
}

variable "invokers" {
  description = "With front = \"none\": who may call the functions at all, as members of IAM (serviceAccount:…, group:…). With allUsers or allAuthenticatedUsers every caller needs a token of auth_issuers or an API key."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.invokers : can(regex("^(allUsers|allAuthenticatedUsers|(user|group|domain|serviceAccount|principal|principalSet):.+)$", member))])
    error_message = "invokers must be members of IAM, such as serviceAccount:agent@project.iam.gserviceaccount.com."
  }
  validation {
    condition     = length(var.invokers) == 0 || (var.front == "none" && var.deployment == "functions")
    error_message = "invokers is for deployment = \"functions\" with front = \"none\" alone: elsewhere only the front invokes."
  }
}

variable "stream_invokers" {
  description = "With front = \"gateway\", which streams nothing: who may follow events at that function's own URL (function_urls), as members of IAM. With allUsers or allAuthenticatedUsers every caller needs a token of auth_issuers or an API key."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.stream_invokers : can(regex("^(allUsers|allAuthenticatedUsers|(user|group|domain|serviceAccount|principal|principalSet):.+)$", member))])
    error_message = "stream_invokers must be members of IAM, such as serviceAccount:agent@project.iam.gserviceaccount.com."
  }
  validation {
    condition     = length(var.stream_invokers) == 0 || (coalesce(var.front, "gateway") == "gateway" && var.deployment == "functions")
    error_message = "stream_invokers is for front = \"gateway\" alone: elsewhere who reaches the other functions reaches the stream."
  }
}

variable "deployers" {
  description = "Who else may migrate the database, as members of IAM, beside the identity that applies."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.deployers : can(regex("^(user|group|serviceAccount|principal|principalSet):.+$", member))])
    error_message = "deployers must be members of IAM such as user:someone@example.com; never allUsers."
  }
}

variable "migrate_ingress" {
  description = "Ingress of system-migrate. An apply calls it from outside, so ALLOW_ALL; IAM admits the deployer's account alone in any case. ALLOW_INTERNAL_ONLY for who applies from inside the network."
  type        = string
  default     = "ALLOW_ALL"
  validation {
    condition     = contains(["ALLOW_ALL", "ALLOW_INTERNAL_ONLY"], var.migrate_ingress)
    error_message = "migrate_ingress must be ALLOW_ALL or ALLOW_INTERNAL_ONLY."
  }
}
