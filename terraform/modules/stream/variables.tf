variable "name" {
  description = "Name of the Kinesis stream."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{1,128}$", var.name))
    error_message = "The name has at most 128 letters, digits, hyphens, dots and underscores."
  }
}

variable "arn" {
  description = "ARN of the stream, built from its name."
  type        = string
}

variable "shards" {
  description = "Number of shards of a provisioned stream; null makes an on-demand stream, which scales automatically."
  type        = number
  default     = null

  validation {
    condition     = var.shards == null ? true : var.shards >= 1 && var.shards <= 500 && floor(var.shards) == var.shards
    error_message = "A provisioned stream must have 1 to 500 shards."
  }
}

variable "retention_hours" {
  description = "Hours that records stay in the stream, 24 to 8760: how long the archive may be down without loss."
  type        = number
  default     = 72

  validation {
    condition     = var.retention_hours >= 24 && var.retention_hours <= 8760
    error_message = "Kinesis keeps records for 24 to 8760 hours."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the records."
  type        = string
}

variable "consumer" {
  description = <<-E
    The function that reads the stream: `function_name`, records in a batch, seconds to collect them, and
    concurrent batches per shard. A failed batch is retried until its records are `maximum_record_age`
    seconds old (null: half of `retention_hours`, at most a day), or `maximum_retries` times if that is
    not -1.
  E
  type = object({
    function_name          = string
    batch_size             = optional(number, 10000)
    batch_seconds          = optional(number, 60)
    parallelization_factor = optional(number, 1)
    maximum_retries        = optional(number, -1)
    maximum_record_age     = optional(number)
  })

  validation {
    condition     = var.consumer.batch_size >= 1 && var.consumer.batch_size <= 10000 && var.consumer.batch_seconds >= 0 && var.consumer.batch_seconds <= 300
    error_message = "A batch must have 1 to 10,000 records and be collected for 0 to 300 seconds."
  }

  validation {
    condition     = var.consumer.maximum_retries >= -1 && var.consumer.maximum_retries <= 10000
    error_message = "A batch must be retried 0 to 10,000 times, or until its records are too old (-1)."
  }

  validation {
    condition     = var.consumer.maximum_record_age == null ? true : var.consumer.maximum_record_age >= 60 && var.consumer.maximum_record_age < var.retention_hours * 3600 && var.consumer.maximum_record_age <= 604800
    error_message = "The maximum age of records must be 60 to 604,800 seconds, and less than the stream's retention."
  }

  validation {
    condition     = var.consumer.parallelization_factor >= 1 && var.consumer.parallelization_factor <= 10
    error_message = "A shard must be read by 1 to 10 concurrent batches."
  }
}

variable "dead_letter" {
  description = "Name and ARN of the dead-letter queue for batches that could not be archived."
  type = object({
    name = string
    arn  = string
  })
}
