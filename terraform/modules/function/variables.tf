variable "name" {
  description = "Name of the function, of its role and of its log group."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.name))
    error_message = "The name has at most 64 letters, digits, hyphens and underscores."
  }
}

variable "description" {
  description = "What the function does, shown in the console."
  type        = string
}

variable "handler" {
  description = "Which handler of the binary runs: ingest, archive, marts, quality, maintain or api."
  type        = string

  validation {
    condition     = contains(["ingest", "archive", "marts", "quality", "maintain", "api"], var.handler)
    error_message = "The handlers are ingest, archive, marts, quality, maintain and api."
  }
}

variable "package" {
  description = "Path of the zip file with `bootstrap` and `contracts/`, built for `architecture`."
  type        = string
}

variable "architecture" {
  description = "Instruction set that the package is built for."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture is x86_64 or arm64."
  }
}

variable "memory_mb" {
  description = "Memory in MiB, 128 to 10240. CPU grows with it: 1769 MiB is one processor."
  type        = number

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "Memory is 128 to 10240 MiB."
  }
}

variable "timeout_seconds" {
  description = "Seconds after which a call is stopped, at most 900."
  type        = number

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "The timeout is 1 to 900 seconds."
  }
}

variable "disk_mb" {
  description = "Size of /tmp in MiB, 512 to 10240: objects and staged files are there while they are worked on."
  type        = number
  default     = 512

  validation {
    condition     = var.disk_mb >= 512 && var.disk_mb <= 10240
    error_message = "The disk has 512 to 10240 MiB."
  }
}

variable "reserved_concurrency" {
  description = "Calls that may run at once, taken out of the account's limit for this function alone; -1 reserves nothing."
  type        = number
  default     = -1

  validation {
    condition     = var.reserved_concurrency >= -1
    error_message = "Use -1 (no reservation), 0 (the function is stopped) or more."
  }
}

variable "environment" {
  description = "Environment variables of the function. No secrets: they can be read in the console."
  type        = map(string)
  default     = {}
}

variable "environment_key_arn" {
  description = "ARN of the KMS key that encrypts the environment variables."
  type        = string
}

variable "log_level" {
  description = "What the function logs: error, warn, info, debug or trace. Lambda lets debug and trace through where they are asked for, and INFO always, because metrics are lines of that level; the function itself leaves out what was not asked for (TARN_LOG)."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "The level is error, warn, info, debug or trace."
  }
}

variable "log_key_arn" {
  description = "ARN of the KMS key that encrypts the log group."
  type        = string
}

variable "log_group_arn" {
  description = "ARN of the log group /aws/lambda/<name>, built from its name."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept; one of the values that CloudWatch Logs offers."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch Logs offers 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653 days."
  }
}

variable "account_id" {
  description = "The account, for the condition of the role's trust."
  type        = string
}

variable "trust_source_account" {
  description = "Whether the role's trust demands that Lambda names this account (aws:SourceAccount). AWS does not document that it always does; a function whose role cannot be assumed is refused when it is made."
  type        = bool
  default     = false
}

variable "statements" {
  description = "What the function may do beside writing its own logs and traces: `sid`, `actions`, `resources` and, if wanted, `condition`."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    condition = optional(map(map(list(string))), {})
  }))

  validation {
    condition     = alltrue([for action in flatten(var.statements[*].actions) : !strcontains(action, "*")])
    error_message = "Name each action; no wildcard."
  }

  validation {
    condition     = !contains(flatten(var.statements[*].resources), "*")
    error_message = "Name the resources; the one statement that needs `*` (tracing) is the module's own."
  }
}

variable "dead_letter_arn" {
  description = "Queue for events of asynchronous calls that failed every time; null for a function that is never called asynchronously. The statements allow sending to it."
  type        = string
  default     = null
}
