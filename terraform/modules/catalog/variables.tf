variable "databases" {
  description = "Per zone (curated, analytics, quality): the Glue database's name, what it holds, and the S3 URI of its files, ending in a slash."
  type = map(object({
    name        = string
    description = string
    location    = string
  }))

  validation {
    condition     = alltrue([for database in values(var.databases) : can(regex("^[a-z][a-z0-9_]{0,254}$", database.name))])
    error_message = "A database name must consist of lower-case letters, digits and underscores: Athena needs quotes for others."
  }

  validation {
    condition     = alltrue([for database in values(var.databases) : can(regex("^s3://[^/]+/.*/$|^s3://[^/]+/[^/]+/$", database.location))])
    error_message = "A location has the form s3://bucket/prefix/ with a slash at its end."
  }
}

variable "account_id" {
  description = "Account whose Glue catalog is used."
  type        = string
}

variable "optimized_tables" {
  description = <<-E
    Tables that Glue compacts, as `<zone>.<table>`, for example `curated.web_requests`. A table must
    exist before an optimizer can be attached to it, and the functions create a table when they ingest
    the first object of its dataset: leave this empty for the first apply.
  E
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for table in var.optimized_tables : can(regex("^(curated|analytics|quality)[.][a-z][a-z0-9_]*$", table))])
    error_message = "Name tables as curated.<table>, analytics.<table> or quality.<table>."
  }
}

variable "optimizer" {
  description = "The role of the optimizers: its name, the ARN prefix of Glue tables (`arn:aws:glue:<region>:<account>:`), per zone the ARN of the bucket, the key's ARN pattern, alias and region, the ARN of the optimizers' log groups, and whether the role's trust demands that Glue names this account, which AWS does not document for optimizers."
  type = object({
    role_name       = string
    glue_arn_prefix = string
    bucket_arns     = map(string)
    key_arns        = string
    key_alias       = string
    region          = string
    log_group_arn   = string

    trust_source_account = optional(bool, false)
  })
}
