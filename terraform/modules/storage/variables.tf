variable "names" {
  description = "Bucket name of each zone: raw, curated, analytics, quarantine, results."
  type = object({
    raw        = string
    curated    = string
    analytics  = string
    quarantine = string
    results    = string
  })

  validation {
    condition     = alltrue([for name in values(var.names) : can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", name))])
    error_message = "A bucket name has 3 to 63 lower-case letters, digits and hyphens (no dots: they break TLS for virtual-hosted names)."
  }
}

variable "bucket_arns" {
  description = "ARN of each zone's bucket, built from the names, so that the bucket policies are known at plan time."
  type        = map(string)

  validation {
    condition     = length(setsubtract(["raw", "curated", "analytics", "quarantine", "results"], keys(var.bucket_arns))) == 0
    error_message = "Every zone needs an ARN: raw, curated, analytics, quarantine, results."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts every object."
  type        = string
}

variable "retention" {
  description = <<-E
    Days, per zone. `raw_infrequent_access_days` and `raw_archive_days`: when raw objects move to the
    storage classes Standard-IA and Glacier Instant Retrieval (both can be read immediately).
    `raw_days`: when raw objects are deleted; null keeps them forever. `noncurrent_days`: how long
    replaced and deleted versions can be restored. `results_days`: how long query results are kept.
  E
  type = object({
    raw_infrequent_access_days = optional(number, 30)
    raw_archive_days           = optional(number, 90)
    raw_days                   = optional(number)
    noncurrent_days            = optional(number, 30)
    results_days               = optional(number, 7)
  })
  default = {}

  validation {
    condition     = var.retention.raw_infrequent_access_days >= 30
    error_message = "S3 moves objects to Standard-IA after 30 days at the earliest."
  }

  validation {
    condition     = var.retention.raw_archive_days >= var.retention.raw_infrequent_access_days + 30
    error_message = "Objects stay in Standard-IA for at least 30 days before they are archived."
  }

  validation {
    condition     = var.retention.raw_days == null ? true : var.retention.raw_days > var.retention.raw_archive_days
    error_message = "Raw objects are deleted after they are archived; raise raw_days or set it to null."
  }

  validation {
    condition     = var.retention.noncurrent_days >= 1 && var.retention.results_days >= 1
    error_message = "Retention must be at least one day."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes buckets that are not empty, with every version of every object."
  type        = bool
  default     = false
}
