variable "account_id" {
  description = "Account to build in, 12 digits. Credentials of another account are refused."
  type        = string
}

variable "region" {
  description = "Region to build in, for example eu-central-1."
  type        = string
}

variable "prefix" {
  description = "Begins the name of everything that is built."
  type        = string
  default     = "tarn-prod"
}

variable "package" {
  description = "Zip file of the functions: { path = \"…\" } as `cargo xtask package` writes it, or { bucket = \"…\", key = \"…\" } in S3 in the lake's region, with `object_version` and `sha256` where wanted."
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
  description = "Instruction set for which the package is built: x86_64 or arm64."
  type        = string
  default     = "x86_64"
}

variable "functions" {
  description = "Per function, settings that differ from the default: memory and disk in MiB, timeout in seconds, reserved concurrency."
  type = map(object({
    memory_mb            = optional(number)
    timeout_seconds      = optional(number)
    disk_mb              = optional(number)
    reserved_concurrency = optional(number)
  }))
  default = {}
}

variable "ingest" {
  description = "How many objects are ingested at the same time (2 to 1000), and how often each is tried before it goes to the dead-letter queue."
  type = object({
    concurrency  = optional(number, 10)
    max_receives = optional(number, 5)
  })
  default = {}
}

variable "stream" {
  description = "The stream of ad events: number of shards (null: on demand), hours for which it keeps records, seconds (0 to 300) for which records are collected for one raw object, and their dataset."
  type = object({
    shards          = optional(number)
    retention_hours = optional(number, 168)
    batch_seconds   = optional(number, 60)
    dataset         = optional(string, "ad_events")
  })
  default = {}
}

variable "api" {
  description = "Who may call the HTTP API (`IAM`, or `JWT` with issuer and audience), and how many requests per second."
  type = object({
    authorization = optional(object({
      type     = string
      issuer   = optional(string)
      audience = optional(list(string), [])
      scopes   = optional(list(string), [])
    }), { type = "IAM" })
    rate  = optional(number, 20)
    burst = optional(number, 40)
  })
  default = {}
}

variable "athena_scan_limit_bytes" {
  description = "Bytes that one Athena query may scan before Athena stops it."
  type        = number
  default     = 107374182400
}

variable "schedule" {
  description = "When the tasks run, as rate(…) or cron(…) in UTC, and whether they run at all."
  type = object({
    enabled  = optional(bool, true)
    marts    = optional(string, "rate(6 hours)")
    quality  = optional(string, "rate(1 hour)")
    maintain = optional(string, "cron(30 3 * * ? *)")
  })
  default = {}
}

variable "retention" {
  description = "Days for which things are kept, see the module lake; raw_days null keeps raw objects forever."
  type = object({
    raw_infrequent_access_days = optional(number, 30)
    raw_archive_days           = optional(number, 90)
    raw_days                   = optional(number)
    noncurrent_days            = optional(number, 30)
    results_days               = optional(number, 7)
    log_days                   = optional(number, 365)
    table_days                 = optional(number, 30)
    table_versions             = optional(number, 10)
    orphan_days                = optional(number, 3)
    run_days                   = optional(number, 400)
  })
  default = {}
}

variable "optimized_tables" {
  description = "Tables that Glue compacts, as <zone>.<table>. A table must exist first, so leave this empty for the first apply."
  type        = set(string)
  default     = []
}

variable "log_level" {
  description = "Log level of the functions: error, warn, info, debug or trace."
  type        = string
  default     = "info"
}

variable "trust_conditions" {
  description = "Services that a role's trust policy requires to name this account. AWS does not document it for Lambda and Glue: switch these on once the lake is built."
  type = object({
    lambda    = optional(bool, false)
    glue      = optional(bool, false)
    scheduler = optional(bool, true)
  })
  default = {}
}

variable "protected" {
  description = "Whether buckets that are not empty and the ledger are protected from `terraform destroy`."
  type        = bool
  default     = true
}

variable "alarms" {
  description = "Addresses that get alarms, and the thresholds; freshness is in seconds per dataset, quality names the datasets for which a missed service level or an anomaly raises an alarm."
  type = object({
    emails              = optional(set(string), [])
    ingest_age_seconds  = optional(number, 3600)
    marts_age_seconds   = optional(number, 7200)
    max_iterator_age_ms = optional(number, 600000)
    errors              = optional(number, 3)
    throttles           = optional(number, 1)
    api_errors          = optional(number, 5)
    freshness           = optional(map(number), { ad_events = 21600, web_requests = 93600, orders = 93600 })
    quality             = optional(set(string), ["ad_events", "customers", "order_items", "orders", "payments", "products", "refunds", "social_posts", "web_requests"])
  })
  default = {}
}

variable "budget" {
  description = "US dollars per month that the account may spend before a notification is sent; null: no budget."
  type = object({
    monthly_usd = number
    by_tag      = optional(bool, false)
  })
  default = { monthly_usd = 500 }
}

variable "personas" {
  description = "Who may assume the roles of engineer, analyst and marketer, as ARNs of IAM roles or users."
  type = object({
    engineer = optional(list(string), [])
    analyst  = optional(list(string), [])
    marketer = optional(list(string), [])
  })
  default = {}
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
