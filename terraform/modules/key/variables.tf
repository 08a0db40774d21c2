variable "alias" {
  description = "Alias of the key without `alias/`, for example `tarn-dev-data`. Roles are allowed to use the key by this alias."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,60}$", var.alias)) && !startswith(var.alias, "aws")
    error_message = "The alias must consist of lower-case letters, digits and hyphens, and begin with a letter but not with `aws`."
  }
}

variable "description" {
  description = "What the key encrypts, shown in the AWS console."
  type        = string
}

variable "root_arn" {
  description = "ARN of the account's root principal. The key policy lets the account's IAM policies decide who may use the key."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:root$", var.root_arn))
    error_message = "The ARN has the form arn:aws:iam::123456789012:root."
  }
}

variable "service_statements" {
  description = "Statements of the key policy for AWS services that use the key on their own behalf. Each needs a condition that ties the service to this account. The resource is always the key itself."
  type = list(object({
    sid       = string
    service   = string
    actions   = list(string)
    condition = map(map(list(string)))
  }))
  default = []

  validation {
    condition     = alltrue([for statement in var.service_statements : length(statement.condition) > 0])
    error_message = "Every service statement needs a condition."
  }

  validation {
    condition     = alltrue([for action in flatten(var.service_statements[*].actions) : !strcontains(action, "*")])
    error_message = "Name each action, without wildcards."
  }
}

variable "deletion_window_days" {
  description = "Days for which a deleted key can be restored, 7 to 30. After that, everything encrypted with it is lost."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "The window must be 7 to 30 days."
  }
}
