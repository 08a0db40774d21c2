variable "prefix" {
  description = "Prefix of the names of the topic, the alarms and the dashboard."
  type        = string
}

variable "region" {
  description = "Region of the metrics."
  type        = string
}

variable "account_id" {
  description = "Account whose alarms may publish to the topic."
  type        = string
}

variable "topic" {
  description = "The topic that alarms publish to: name, ARN built from it, and ARN of the KMS key that encrypts it."
  type = object({
    name    = string
    arn     = string
    key_arn = string
  })
}

variable "dead_letter" {
  description = "Name and ARN of the queue that keeps notifications that could not be delivered."
  type = object({
    name = string
    arn  = string
  })
}

variable "alarm_arns" {
  description = "ARN pattern of the alarms that may publish: arn:aws:cloudwatch:<region>:<account>:alarm:<prefix>-*."
  type        = string
}

variable "budget_arns" {
  description = "ARN pattern of the budgets that may publish, as AWS documents it: arn:aws:budgets::<account>:*."
  type        = string
}

variable "emails" {
  description = "Addresses that get every alarm. Each must confirm its subscription with the link that AWS sends."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+[.][^@\\s]+$", email))])
    error_message = "An address must have the form name@example.com."
  }
}

variable "dead_letter_queues" {
  description = "Names of all dead-letter queues, by the kind of their messages (ingest, marts, archive, …)."
  type        = map(string)
}

variable "queues" {
  description = "All work queues, by purpose: the name, and the seconds after which the oldest message is too old."
  type = map(object({
    name            = string
    max_age_seconds = number
  }))
}

variable "functions" {
  description = "Names of all functions."
  type        = map(string)
}

variable "stream_reader" {
  description = "The function that reads the stream: its name, and the age in milliseconds that a record may reach before it is archived."
  type = object({
    function_name       = string
    max_iterator_age_ms = number
  })
}

variable "stream_name" {
  description = "The stream, for the dashboard."
  type        = string
}

variable "api_id" {
  description = "The HTTP API."
  type        = string
}

variable "ledger_name" {
  description = "The ledger's table, for the dashboard."
  type        = string
}

variable "thresholds" {
  description = "Thresholds of alarms: errors of a function in 15 minutes, throttled calls in 5 minutes (three times in a row), and answers 5xx of the API in 5 minutes."
  type = object({
    errors     = optional(number, 3)
    throttles  = optional(number, 1)
    api_errors = optional(number, 5)
  })
  default = {}

  validation {
    condition     = alltrue([for threshold in values(var.thresholds) : threshold >= 1])
    error_message = "A threshold must be at least 1."
  }
}

variable "freshness" {
  description = "Per dataset, the seconds after which its newest commit is too old."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for seconds in values(var.freshness) : seconds >= 3600])
    error_message = "Freshness is measured hourly: use 3600 seconds or more."
  }
}

variable "quality" {
  description = "Datasets for which a missed service level or an anomaly raises an alarm."
  type        = set(string)
  default     = []
}

variable "metrics_namespace" {
  description = "Namespace of this lake's metrics. Every lake has its own."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z._/#:-]{1,255}$", var.metrics_namespace)) && !startswith(var.metrics_namespace, "AWS/")
    error_message = "A namespace must have at most 255 letters, digits and ._/#:- and not begin with `AWS/`."
  }
}
