variable "name" {
  description = "Name of the EventBridge rule."
  type        = string
}

variable "bucket" {
  description = "Bucket whose new objects are announced. Its notifications to EventBridge must be on."
  type        = string
}

variable "key_prefix" {
  description = "Prefix of the keys of announced objects."
  type        = string
  default     = "raw/"
}

variable "queue_arn" {
  description = "Queue that gets one message per new object."
  type        = string
}

variable "dead_letter_arn" {
  description = "Queue that keeps events that could not be delivered. Its messages have the same form as those of failed ingests, so one redrive works for both."
  type        = string
}
