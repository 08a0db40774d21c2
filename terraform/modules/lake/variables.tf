variable "prefix" {
  description = "Prefix of every name, for example `tarn-dev`. Two lakes in one account need two prefixes."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.prefix)) && !strcontains(var.prefix, "--")
    error_message = "The prefix must have 3 to 24 lower-case letters, digits and single hyphens, begin with a letter and not end with a hyphen."
  }

  validation {
    condition     = !startswith(var.prefix, "aws")
    error_message = "AWS reserves names that begin with `aws`."
  }
}

variable "region" {
  description = "Region of the lake, the same as the provider's."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region must have the form eu-central-1."
  }
}

variable "account_id" {
  description = "Account of the lake. It is part of bucket names and ARNs, which is why every policy can be read in the plan."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id must have 12 digits."
  }
}

variable "package" {
  description = "Zip file that all functions run, written by `cargo xtask package` or `cargo xtask dist`: `path` of a file on this machine, or `bucket` and `key` of an object in S3 in the lake's region, with its `object_version` where the bucket has versions and its `sha256` as SHA256SUMS has it. Lambda does not compare the hash: by it Terraform sees that the code has changed."
  type = object({
    path           = optional(string)
    bucket         = optional(string)
    key            = optional(string)
    object_version = optional(string)
    sha256         = optional(string)
  })
  nullable = false

  validation {
    condition     = alltrue([for value in values(var.package) : value != ""])
    error_message = "Leave out what is empty in `package`."
  }

  validation {
    condition     = (var.package.path == null) != (var.package.bucket == null && var.package.key == null)
    error_message = "Say where the zip file is, in one way: { path = \"…\" } for a file on this machine, or { bucket = \"…\", key = \"…\" } for an object in S3."
  }

  validation {
    condition     = (var.package.bucket == null) == (var.package.key == null)
    error_message = "An object in S3 needs both `bucket` and `key`."
  }

  validation {
    condition     = var.package.path == null || (var.package.object_version == null && var.package.sha256 == null)
    error_message = "`object_version` and `sha256` go with `bucket` and `key`. Leave them out with `path`: Terraform reads the hash from the file."
  }

  validation {
    condition     = var.package.path == null || try(fileexists(var.package.path), false)
    error_message = "There is no file at `path`. `cargo xtask package` writes dist/tarn-<architecture>.zip; a relative path begins at the folder where Terraform runs."
  }

  validation {
    condition     = var.package.sha256 == null || can(regex("^[0-9a-f]{64}$", var.package.sha256))
    error_message = "`sha256` is the package's line in SHA256SUMS: 64 digits, 0 to 9 and a to f."
  }
}

variable "architecture" {
  description = "Instruction set for which the package is built: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be x86_64 or arm64."
  }
}

variable "functions" {
  description = "Per function (ingest, archive, marts, quality, maintain, api), settings that differ from the default: memory and disk in MiB, timeout in seconds, reserved concurrency (-1: none)."
  type = map(object({
    memory_mb            = optional(number)
    timeout_seconds      = optional(number)
    disk_mb              = optional(number)
    reserved_concurrency = optional(number)
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.functions), ["ingest", "archive", "marts", "quality", "maintain", "api"])) == 0
    error_message = "The functions are ingest, archive, marts, quality, maintain and api."
  }
}

variable "ingest" {
  description = "How raw objects are ingested: how many at the same time (2 to 1000), and how often each is tried before it goes to the dead-letter queue."
  type = object({
    concurrency  = optional(number, 10)
    max_receives = optional(number, 5)
  })
  default = {}

  validation {
    condition     = var.ingest.concurrency >= 2 && var.ingest.concurrency <= 1000
    error_message = "The concurrency must be 2 to 1000."
  }

  validation {
    condition     = var.ingest.max_receives >= 1 && var.ingest.max_receives <= 1000
    error_message = "An object must be tried 1 to 1000 times."
  }
}

variable "stream" {
  description = "The stream of ad events: its number of shards (null: on demand), the hours for which it keeps records, the seconds (0 to 300) for which records are collected for one raw object per shard, and their dataset."
  type = object({
    shards          = optional(number)
    retention_hours = optional(number, 72)
    batch_seconds   = optional(number, 60)
    dataset         = optional(string, "ad_events")
  })
  default = {}
}

variable "api" {
  description = "The HTTP API: who may call it (see the module api), and how many requests per second."
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
  default     = 10737418240
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
  description = <<-E
    Days for which things are kept. For objects see the module storage. `log_days`: logs. `table_days`
    and `table_versions`: a version of a table can be queried if it is younger, or among this number of
    newest versions. `orphan_days`: files that no version names. `run_days`: records of runs.
  E
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

  validation {
    condition     = var.retention.table_days >= 0 && var.retention.table_versions >= 1 && var.retention.orphan_days >= 1 && var.retention.run_days >= 1
    error_message = "Keep at least one version of a table, and files and runs for at least one day."
  }
}

variable "optimized_tables" {
  description = "Tables that Glue compacts, as `<zone>.<table>`. A table must exist first, so leave this empty for the first apply."
  type        = set(string)
  default     = []
}

variable "log_level" {
  description = "Log level of the functions: error, warn, info, debug or trace."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug", "trace"], var.log_level)
    error_message = "The level must be error, warn, info, debug or trace."
  }
}

variable "trust_conditions" {
  description = <<-E
    Services that a role's trust policy requires to name this account (aws:SourceAccount). AWS documents
    that the scheduler does. For Lambda and Glue's optimizers it does not, and an apply would fail if they
    did not: switch these on once the lake is built (docs/guides/deploy-to-aws.md, "Checked on apply").
  E
  type = object({
    lambda    = optional(bool, false)
    glue      = optional(bool, false)
    scheduler = optional(bool, true)
  })
  default = {}
}

variable "protected" {
  description = "Whether the lake is protected from `terraform destroy`: buckets that are not empty and the ledger are then not deleted."
  type        = bool
  default     = true
}

variable "alarms" {
  description = <<-E
    Who gets alarms (`emails`), and the thresholds: the seconds that a message may wait for ingest and
    for the marts; the age in milliseconds that a record of the stream may reach before it is archived;
    errors and throttled calls of a function; 5xx answers of the API; and per dataset the seconds after
    which its newest commit is too old.
  E
  type = object({
    emails              = optional(set(string), [])
    ingest_age_seconds  = optional(number, 3600)
    marts_age_seconds   = optional(number, 7200)
    max_iterator_age_ms = optional(number, 600000)
    errors              = optional(number, 3)
    throttles           = optional(number, 1)
    api_errors          = optional(number, 5)
    freshness           = optional(map(number), {})
    quality             = optional(set(string), [])
  })
  default = {}

  validation {
    condition     = var.alarms.ingest_age_seconds > 0 && var.alarms.marts_age_seconds > 0 && var.alarms.max_iterator_age_ms > 0
    error_message = "Ages must be more than zero."
  }
}

variable "budget" {
  description = "US dollars per month, and whether only resources with the tag Project=tarn count (activate the tag in the billing console first). Null: no budget."
  type = object({
    monthly_usd = number
    by_tag      = optional(bool, false)
  })
  default = null
}

variable "personas" {
  description = "Who may assume the roles of engineer, analyst and marketer, as ARNs; see the module access. A role without principals is not created."
  type = object({
    engineer = optional(list(string), [])
    analyst  = optional(list(string), [])
    marketer = optional(list(string), [])
  })
  default = {}
}
