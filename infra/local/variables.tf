variable "endpoint" {
  description = "URL of the emulator."
  type        = string
  default     = "http://localhost:4566"

  validation {
    condition     = can(regex("^https?://[^/]+$", var.endpoint))
    error_message = "The endpoint is a URL without a path, for example http://localhost:4566."
  }
}

variable "prefix" {
  description = "Begins the name of everything that is built."
  type        = string
  default     = "tarn-local"
}

variable "region" {
  description = "Region that the emulator simulates."
  type        = string
  default     = "us-east-1"
}

variable "account_id" {
  description = "Account that the emulator simulates."
  type        = string
  default     = "000000000000"
}

variable "package" {
  description = "Zip file of the functions: { path = \"…\" } as `cargo xtask package --quick` writes it, or { bucket = \"…\", key = \"…\" } in the emulator's S3, with `object_version` and `sha256` where wanted."
  type = object({
    path           = optional(string)
    bucket         = optional(string)
    key            = optional(string)
    object_version = optional(string)
    sha256         = optional(string)
  })
  default = { path = "../../dist/tarn-x86_64.zip" }
}

variable "architecture" {
  description = "Instruction set of this machine, for which the package is built: x86_64 or arm64."
  type        = string
  default     = "x86_64"
}

variable "log_level" {
  description = "Log level of the functions: error, warn, info, debug or trace."
  type        = string
  default     = "info"
}

variable "tags" {
  description = "Further tags of everything that is built, for example a cost centre. Project, Environment and ManagedBy are set already."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:") && length(key) <= 128])
    error_message = "A tag's name has at most 128 characters and does not begin with `aws:`."
  }
}
