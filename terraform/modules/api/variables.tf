variable "name" {
  description = "Name of the HTTP API and of its log group."
  type        = string
}

variable "function_name" {
  description = "Name of the function that answers."
  type        = string
}

variable "function_invoke_arn" {
  description = "ARN with which API Gateway calls the function: arn:aws:apigateway:<region>:lambda:path/2015-03-31/functions/<function ARN>/invocations."
  type        = string
}

variable "authorization" {
  description = <<-E
    Who may call every route except GET /health. `type` is `IAM` (requests signed by a principal of
    this account that is allowed execute-api:Invoke) or `JWT` (tokens of an OpenID Connect `issuer` for
    one of the `audience`, with one of the `scopes` if scopes are given).
  E
  type = object({
    type     = string
    issuer   = optional(string)
    audience = optional(list(string), [])
    scopes   = optional(list(string), [])
  })
  default = { type = "IAM" }

  validation {
    condition     = contains(["IAM", "JWT"], var.authorization.type)
    error_message = "The type must be IAM or JWT: the API is never open."
  }

  validation {
    condition     = var.authorization.type != "JWT" ? true : can(regex("^https://", var.authorization.issuer)) && length(var.authorization.audience) > 0
    error_message = "JWT needs an issuer that begins with https:// and at least one audience."
  }
}

variable "throttle" {
  description = "Requests per second that the API answers on average, and how many together in a burst; further requests get 429."
  type = object({
    rate  = optional(number, 20)
    burst = optional(number, 40)
  })
  default = {}

  validation {
    condition     = var.throttle.rate > 0 && var.throttle.burst > 0
    error_message = "Rate and burst must be more than zero."
  }
}

variable "log_key_arn" {
  description = "ARN of the KMS key that encrypts the access log."
  type        = string
}

variable "log_retention_days" {
  description = "Days for which the access log is kept; one of the values that CloudWatch Logs offers."
  type        = number
  default     = 365
}
