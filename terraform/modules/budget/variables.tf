variable "name" {
  description = "Name of the budget."
  type        = string
}

variable "account_id" {
  description = "Account whose costs count."
  type        = string
}

variable "monthly_usd" {
  description = "US dollars per month."
  type        = number

  validation {
    condition     = var.monthly_usd > 0
    error_message = "A budget must be more than zero dollars."
  }
}

variable "cost_tag" {
  description = "Tag whose costs count, as key and value. It has to be activated as a cost allocation tag in the billing console; null counts the whole account."
  type = object({
    key   = string
    value = string
  })
  default = null
}

variable "topic_arn" {
  description = "Topic that is notified."
  type        = string
}
