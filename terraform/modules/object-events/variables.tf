variable "name" {
  description = "Name of the EventBridge rule."
  type        = string
}

variable "bucket" {
  description = "Bucket whose new objects are announced. Its notifications to EventBridge are on."
  type        = string
}

variable "key_prefix" {
  description = "Only keys with this prefix."
  type        = string
  default     = "raw/"
}

variable "queue_arn" {
  description = "Queue that gets one message per new object."
  type        = string
}

variable "dead_letter_arn" {
  description = "Queue that keeps what could not be delivered. Its messages have the same form, so that one redrive works for both causes."
  type        = string
}
