variable "name" {
  description = "Name of the workgroup."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9._-]{1,128}$", var.name))
    error_message = "The name has at most 128 letters, digits, dots, hyphens and underscores."
  }
}

variable "results_uri" {
  description = "Where results are written: an S3 URI that ends in a slash."
  type        = string

  validation {
    condition     = can(regex("^s3://[^/]+/.+/$", var.results_uri))
    error_message = "The URI has the form s3://bucket/prefix/ with a slash at its end."
  }
}

variable "account_id" {
  description = "Account that owns the results bucket; results are written to no other account."
  type        = string
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts results."
  type        = string
}

variable "scan_limit_bytes" {
  description = "Bytes that one query may scan before Athena stops it; at least 10 MB, Athena's own minimum."
  type        = number
  default     = 10737418240

  validation {
    condition     = var.scan_limit_bytes >= 10485760
    error_message = "The limit must be at least 10485760 bytes (10 MB)."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the workgroup together with its saved queries."
  type        = bool
  default     = false
}
