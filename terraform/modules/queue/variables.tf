variable "name" {
  description = "Name of the queue; its dead-letter queue is named `<name>-dlq`."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,76}$", var.name)) && !endswith(var.name, "-dlq")
    error_message = "The name must have at most 76 letters, digits, hyphens and underscores, and not end in `-dlq`."
  }
}

variable "arn_prefix" {
  description = "The part of a queue's ARN before the name: `arn:aws:sqs:eu-central-1:123456789012:`. With it, policies are known at plan time."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:$", var.arn_prefix))
    error_message = "The prefix must have the form arn:aws:sqs:<region>:<account>: with a colon at its end."
  }
}

variable "senders" {
  description = "AWS services that send messages here on behalf of a resource of this account. They may also use the dead-letter queue, which keeps messages that cannot be delivered here."
  type = list(object({
    service    = string
    source_arn = string
  }))
  default = []

  validation {
    condition     = alltrue([for sender in var.senders : can(regex("^arn:aws[a-z-]*:[a-z]+:[a-z0-9-]+:[0-9]{12}:[^*]+$", sender.source_arn))])
    error_message = "A sender must be restricted to one resource of one account: its ARN must name both, without wildcards."
  }
}

variable "consumer_timeout_seconds" {
  description = "Timeout of the function that reads the queue. The visibility timeout is six times as long, and `batch_seconds` more."
  type        = number

  validation {
    condition     = var.consumer_timeout_seconds >= 1 && 6 * var.consumer_timeout_seconds + var.batch_seconds <= 43200
    error_message = "Six times the function's timeout and the time to collect a batch must not be more than 12 hours."
  }
}

variable "batch_seconds" {
  description = "Seconds (0 to 300) for which messages are collected for a batch."
  type        = number
  default     = 5

  validation {
    condition     = var.batch_seconds >= 0 && var.batch_seconds <= 300
    error_message = "A batch must be collected for 0 to 300 seconds."
  }
}

variable "consumer" {
  description = "The function that reads the queue: `function_name`, messages in a batch, and how many batches are processed at the same time (2 to 1000)."
  type = object({
    function_name       = string
    batch_size          = optional(number, 10)
    maximum_concurrency = optional(number, 10)
  })

  validation {
    condition     = var.consumer.maximum_concurrency >= 2 && var.consumer.maximum_concurrency <= 1000
    error_message = "AWS allows a maximum concurrency of 2 to 1000."
  }

  validation {
    condition     = var.consumer.batch_size >= 1 && var.consumer.batch_size <= 10000
    error_message = "A batch must have 1 to 10,000 messages."
  }

  validation {
    condition     = var.consumer.batch_size <= 10 || var.batch_seconds >= 1
    error_message = "Batches of more than 10 messages need at least one second to collect them."
  }
}

variable "max_receive_count" {
  description = "How often a message is tried before it goes to the dead-letter queue."
  type        = number
  default     = 5

  validation {
    condition     = var.max_receive_count >= 1 && var.max_receive_count <= 1000
    error_message = "A message must be tried 1 to 1000 times."
  }
}
