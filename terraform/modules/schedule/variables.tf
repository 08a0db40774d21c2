variable "name" {
  description = "Name of the schedule group and of the role that calls the functions."
  type        = string
}

variable "group_arn" {
  description = "ARN of the schedule group, built from its name."
  type        = string
}

variable "account_id" {
  description = "Account, for the condition in the role's trust policy."
  type        = string
}

variable "trust_source_account" {
  description = "Whether the role's trust policy requires the scheduler to name this account and this group. AWS documents that it does. It refuses to create a schedule whose role it cannot assume."
  type        = bool
  default     = true
}

variable "tasks" {
  description = "Per task: the function's ARN, when it runs (`rate(…)` or `cron(…)`, UTC), and the ARN of the queue for calls that could not be delivered. The function gets {\"task\": \"<name>\"}."
  type = map(object({
    function_arn    = string
    expression      = string
    dead_letter_arn = string
  }))

  validation {
    condition     = alltrue([for task in values(var.tasks) : can(regex("^(rate|cron)\\(.+\\)$", task.expression))])
    error_message = "An expression must be rate(…) or cron(…)."
  }
}

variable "enabled" {
  description = "Whether the tasks run."
  type        = bool
  default     = true
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the schedules' payloads."
  type        = string
}

variable "key" {
  description = "What the role needs to use that key: the ARN pattern of the account's keys, and the key's alias."
  type = object({
    arns  = string
    alias = string
  })
}
