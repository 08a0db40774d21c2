variable "name" {
  description = "Name of the workgroup."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9._-]{1,128}$", var.name))
    error_message = "The name has at most 128 letters, digits, dots, hyphens and underscores."
  }
}

variable "results_uri" {
  description = "Where results are put: an S3 URI that ends in a slash."
  type        = string

  validation {
    condition     = can(regex("^s3://[^/]+/.+/$", var.results_uri))
    error_message = "The URI has the form s3://bucket/prefix/ with a slash at its end."
  }
}

variable "account_id" {
  description = "The account that owns the results bucket; results go nowhere else."
  type        = string
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts results."
  type        = string
}

variable "scan_limit_bytes" {
  description = "Bytes that one query may scan before it is stopped; at least 10 MB, as Athena demands."
  type        = number
  default     = 10737418240

  validation {
    condition     = var.scan_limit_bytes >= 10485760
    error_message = "The limit is at least 10485760 bytes (10 MB)."
  }
}

variable "force_destroy" {
  description = "Whether the workgroup is destroyed with its saved queries."
  type        = bool
  default     = false
}
