variable "prefix" {
  description = "Begins the names of the topic, the alarms and the dashboard."
  type        = string
}

variable "region" {
  description = "Region of the metrics."
  type        = string
}

variable "account_id" {
  description = "The account; nobody else's alarms may publish to the topic."
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
  description = "Addresses that get every alarm. Each has to confirm its subscription by the link that AWS sends."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+[.][^@\\s]+$", email))])
    error_message = "An address has the form name@example.com."
  }
}

variable "dead_letter_queues" {
  description = "Every dead-letter queue by what its messages are about (ingest, marts, archive, …): its name."
  type        = map(string)
}

variable "queues" {
  description = "Every queue of work by what it is for: its name, and the seconds after which its oldest message is too old."
  type = map(object({
    name            = string
    max_age_seconds = number
  }))
}

variable "functions" {
  description = "Every function: its name."
  type        = map(string)
}

variable "stream_reader" {
  description = "The function that reads the stream: its name, and the milliseconds that it may be behind."
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
  description = "Errors of a function in 15 minutes, throttled calls in 5 minutes (three times in a row), and answers 5xx of the API in 5 minutes, from which an alarm is raised."
  type = object({
    errors     = optional(number, 3)
    throttles  = optional(number, 1)
    api_errors = optional(number, 5)
  })
  default = {}

  validation {
    condition     = alltrue([for threshold in values(var.thresholds) : threshold >= 1])
    error_message = "A threshold is at least 1."
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
  description = "Datasets of which a broken promise and an anomaly raise an alarm."
  type        = set(string)
  default     = []
}

variable "metrics_namespace" {
  description = "Namespace of this lake's own metrics. Another lake's alarms and graphs look at another one."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z._/#:-]{1,255}$", var.metrics_namespace)) && !startswith(var.metrics_namespace, "AWS/")
    error_message = "A namespace has at most 255 letters, digits and ._/#:- and does not begin with `AWS/`."
  }
}
