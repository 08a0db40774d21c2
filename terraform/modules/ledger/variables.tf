variable "name" {
  description = "Name of the DynamoDB table."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.name))
    error_message = "The name has 3 to 255 letters, digits, hyphens, dots and underscores."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the table."
  type        = string
}

variable "deletion_protection" {
  description = "Whether the table is protected from deletion; to delete it, set this to false and apply first."
  type        = bool
  default     = true
}
