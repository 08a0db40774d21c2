variable "name" {
  description = "Name of the function, of its role and of its log group."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.name))
    error_message = "The name has at most 64 letters, digits, hyphens and underscores."
  }
}

variable "description" {
  description = "What the function does, shown in the AWS console."
  type        = string
}

variable "handler" {
  description = "Handler of the binary to run: ingest, archive, marts, quality, maintain or api."
  type        = string

  validation {
    condition     = contains(["ingest", "archive", "marts", "quality", "maintain", "api"], var.handler)
    error_message = "The handler must be ingest, archive, marts, quality, maintain or api."
  }
}

variable "package" {
  description = "Zip file with `bootstrap` and `contracts/`, built for `architecture`: `path` of a file on this machine, or `bucket` and `key` of an object in S3 in the function's region, with its `object_version` where the bucket has versions and its `sha256` in hexadecimal. Lambda does not compare the hash: by it Terraform sees that the code has changed."
  type = object({
    path           = optional(string)
    bucket         = optional(string)
    key            = optional(string)
    object_version = optional(string)
    sha256         = optional(string)
  })
  nullable = false

  validation {
    condition     = alltrue([for value in values(var.package) : value != ""])
    error_message = "Leave out what is empty in `package`."
  }

  validation {
    condition     = (var.package.path == null) != (var.package.bucket == null && var.package.key == null)
    error_message = "Say where the zip file is, in one way: { path = \"…\" } for a file on this machine, or { bucket = \"…\", key = \"…\" } for an object in S3."
  }

  validation {
    condition     = (var.package.bucket == null) == (var.package.key == null)
    error_message = "An object in S3 needs both `bucket` and `key`."
  }

  validation {
    condition     = var.package.path == null || (var.package.object_version == null && var.package.sha256 == null)
    error_message = "`object_version` and `sha256` go with `bucket` and `key`. Leave them out with `path`: Terraform reads the hash from the file."
  }

  validation {
    condition     = var.package.path == null || try(fileexists(var.package.path), false)
    error_message = "There is no file at `path`. `cargo xtask package` writes dist/tarn-<architecture>.zip; a relative path begins at the folder where Terraform runs."
  }

  validation {
    condition     = var.package.sha256 == null || can(regex("^[0-9a-f]{64}$", var.package.sha256))
    error_message = "`sha256` is the package's line in SHA256SUMS: 64 digits, 0 to 9 and a to f."
  }
}

variable "architecture" {
  description = "Instruction set for which the package is built."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be x86_64 or arm64."
  }
}

variable "memory_mb" {
  description = "Memory in MiB, 128 to 10240. CPU grows with it: 1769 MiB corresponds to one processor."
  type        = number

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "Memory must be 128 to 10240 MiB."
  }
}

variable "timeout_seconds" {
  description = "Seconds after which Lambda stops a call, at most 900."
  type        = number

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "The timeout must be 1 to 900 seconds."
  }
}

variable "disk_mb" {
  description = "Size of /tmp in MiB, 512 to 10240. It holds objects and staged files while a call works on them."
  type        = number
  default     = 512

  validation {
    condition     = var.disk_mb >= 512 && var.disk_mb <= 10240
    error_message = "The disk must have 512 to 10240 MiB."
  }
}

variable "reserved_concurrency" {
  description = "Concurrent calls, taken out of the account's limit and reserved for this function; -1 reserves nothing."
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
  description = "Log level: error, warn, info, debug or trace. Lambda lets debug and trace through if they are set here, and INFO always, because metrics are lines of that level; the function itself drops lines below the level (TARN_LOG)."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "The level must be error, warn, info, debug or trace."
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
  description = "Days for which logs are kept; one of the values that CloudWatch Logs offers."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch Logs offers 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653 days."
  }
}

variable "account_id" {
  description = "Account, for the condition in the role's trust policy."
  type        = string
}

variable "trust_source_account" {
  description = "Whether the role's trust policy requires Lambda to name this account (aws:SourceAccount). AWS does not document that it always does, and it refuses to create a function whose role it cannot assume."
  type        = bool
  default     = false
}

variable "statements" {
  description = "What the function may do, in addition to writing its own logs and traces: `sid`, `actions`, `resources` and, if wanted, `condition`."
  type = list(object({
    sid       = string
    actions   = list(string)
    resources = list(string)
    condition = optional(map(map(list(string))), {})
  }))

  validation {
    condition     = alltrue([for action in flatten(var.statements[*].actions) : !strcontains(action, "*")])
    error_message = "Name each action, without wildcards."
  }

  validation {
    condition     = !contains(flatten(var.statements[*].resources), "*")
    error_message = "Name the resources; the only statement that needs `*` (tracing) is in the module."
  }
}

variable "dead_letter_arn" {
  description = "Queue for events of asynchronous calls that failed at every attempt; null for a function that is never called asynchronously. `statements` must allow sending to it."
  type        = string
  default     = null
}
