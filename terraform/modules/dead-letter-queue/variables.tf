variable "name" {
  description = "Name of the queue, ending in `-dlq`."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,76}-dlq$", var.name))
    error_message = "The name has letters, digits, hyphens and underscores, ends in `-dlq`, and is at most 80 characters long."
  }
}

variable "arn" {
  description = "ARN of the queue, built from its name, so that its policy is known at plan time."
  type        = string
}

variable "source_arns" {
  description = "Queues that may name this one as their dead-letter queue."
  type        = list(string)
  default     = []
}

variable "senders" {
  description = "AWS services that send messages here on behalf of a resource of this account: `service` (events.amazonaws.com) and `source_arn` (the resource)."
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
