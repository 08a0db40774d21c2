variable "name" {
  description = "Name of the secret."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9/_+=.@-]{1,500}$", var.name)) && !can(regex("-[a-zA-Z0-9]{6}$", var.name))
    error_message = "The name must have up to 500 letters, digits and /_+=.@-, and not end in a hyphen and six characters, as ARNs of secrets do."
  }
}

variable "description" {
  description = "What the secret holds."
  type        = string
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the value."
  type        = string
}

variable "recovery_window_days" {
  description = "Days for which a deleted secret can be restored; 0 deletes it immediately."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_window_days == 0 || (var.recovery_window_days >= 7 && var.recovery_window_days <= 30)
    error_message = "The recovery window must be 0, or 7 to 30 days."
  }
}
