variable "prefix" {
  description = "Prefix of the names of the roles."
  type        = string
}

variable "personas" {
  description = <<-E
    Who may assume each role, as ARNs of IAM roles or users, for example the roles of IAM Identity
    Center. `engineer` runs the lake, `analyst` reads curated and KPI tables, `marketer` reads KPI
    tables. A role without principals is not created.
  E
  type = object({
    engineer = optional(list(string), [])
    analyst  = optional(list(string), [])
    marketer = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = alltrue([for arn in flatten(values(var.personas)) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9+=,.@_/-]+)$", arn))])
    error_message = "A principal must be the ARN of one IAM role or user, or of an account's root, without wildcards."
  }
}

variable "session_seconds" {
  description = "Maximum length of a session, 3600 to 43200 seconds."
  type        = number
  default     = 28800

  validation {
    condition     = var.session_seconds >= 3600 && var.session_seconds <= 43200
    error_message = "A session must last 3600 to 43200 seconds."
  }
}

variable "bucket_arns" {
  description = "ARN of each zone's bucket: raw, curated, analytics, quarantine, results."
  type        = map(string)
}

variable "glue_arns" {
  description = "Per zone (curated, analytics, quality), the ARNs of the catalog, the database and its tables."
  type        = map(list(string))
}

variable "workgroup_arn" {
  description = "ARN of the Athena workgroup."
  type        = string
}

variable "queue_arns" {
  description = "Queues that engineers may redrive: ARNs of the work queues and of the dead-letter queues."
  type = object({
    work        = list(string)
    dead_letter = list(string)
  })
}

variable "stream_arn" {
  description = "ARN of the stream."
  type        = string
}

variable "ledger_arn" {
  description = "ARN of the ledger's table."
  type        = string
}

variable "function_arns" {
  description = "ARNs of the functions that engineers may call: marts, quality, maintain."
  type        = list(string)
}

variable "log_group_arns" {
  description = "ARNs of the log groups that engineers may read."
  type        = list(string)
}

variable "key" {
  description = "The data key: ARN pattern of the account's keys, the key's alias, and the region."
  type = object({
    arns   = string
    alias  = string
    region = string
  })
}
