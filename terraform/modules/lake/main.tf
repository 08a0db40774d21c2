locals {
  # AWS documents `kms:GenerateDataKey*`; these are its actions by name.
  generate_data_keys = [
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
  ]
}

# ---- Keys. One for the data, which no AWS service may use on its own behalf, and one for what AWS
# services write: logs, notifications, settings.

module "data_key" {
  source = "../key"

  alias                = local.data_alias
  description          = "Data of ${var.prefix}: buckets, stream, ledger, query results, keys of pseudonyms"
  root_arn             = local.root_arn
  deletion_window_days = var.protected ? 30 : 7
}

module "operations_key" {
  source = "../key"

  alias                = local.operations_alias
  description          = "Operations of ${var.prefix}: logs, notifications, settings of functions"
  root_arn             = local.root_arn
  deletion_window_days = var.protected ? 30 : 7

  service_statements = [
    {
      # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
      sid     = "Logs"
      service = "logs.${var.region}.amazonaws.com"
      actions = concat(
        ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"],
        local.generate_data_keys,
      )
      condition = {
        ArnLike = {
          "kms:EncryptionContext:aws:logs:arn" = [
            "${local.log_group_arn_prefix}/aws/lambda/${var.prefix}-*",
            "${local.log_group_arn_prefix}/aws/apigateway/${var.prefix}-*",
          ]
        }
      }
    },
    {
      # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
      sid     = "Alarms"
      service = "cloudwatch.amazonaws.com"
      actions = concat(["kms:Decrypt"], local.generate_data_keys)
      condition = {
        ArnLike      = { "aws:SourceArn" = [local.alarm_arns] }
        StringEquals = { "aws:SourceAccount" = [var.account_id] }
      }
    },
    {
      # https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
      sid     = "Budgets"
      service = "budgets.amazonaws.com"
      actions = concat(["kms:Decrypt"], local.generate_data_keys)
      condition = {
        ArnLike      = { "aws:SourceArn" = [local.budget_arns] }
        StringEquals = { "aws:SourceAccount" = [var.account_id] }
      }
    },
  ]
}

# ---- Data

module "storage" {
  source = "../storage"

  names         = local.buckets
  bucket_arns   = local.bucket_arns
  key_arn       = module.data_key.arn
  force_destroy = !var.protected
  retention = {
    raw_infrequent_access_days = var.retention.raw_infrequent_access_days
    raw_archive_days           = var.retention.raw_archive_days
    raw_days                   = var.retention.raw_days
    noncurrent_days            = var.retention.noncurrent_days
    results_days               = var.retention.results_days
  }
}

# Lambda takes 50 MB from Terraform itself, and packages of up to 250 MB unpacked from S3.
resource "aws_s3_object" "package" {
  count = var.package.path == null ? 0 : 1

  bucket                 = module.storage.buckets["results"]
  key                    = "package/tarn.zip"
  source                 = var.package.path
  source_hash            = filesha256(var.package.path)
  server_side_encryption = "aws:kms"
  kms_key_id             = module.data_key.arn
}

locals {
  package = var.package.path == null ? var.package : {
    path           = null
    bucket         = aws_s3_object.package[0].bucket
    key            = aws_s3_object.package[0].key
    object_version = aws_s3_object.package[0].version_id
    sha256         = filesha256(var.package.path)
  }
}

module "catalog" {
  source = "../catalog"

  account_id       = var.account_id
  optimized_tables = var.optimized_tables

  databases = {
    curated = {
      name        = local.databases.curated
      description = "Cleaned and typed source data, one table per contract"
      location    = "s3://${local.buckets.curated}/curated/"
    }
    analytics = {
      name        = local.databases.analytics
      description = "KPI tables, computed from curated ones"
      location    = "s3://${local.buckets.analytics}/analytics/"
    }
    quality = {
      name        = local.databases.quality
      description = "Rejected rows, with the rule that each broke"
      location    = "s3://${local.buckets.quarantine}/quality/"
    }
  }

  optimizer = {
    role_name       = "${var.prefix}-optimizer"
    glue_arn_prefix = local.glue_arn_prefix
    bucket_arns = {
      curated   = local.bucket_arns["curated"]
      analytics = local.bucket_arns["analytics"]
      quality   = local.bucket_arns["quarantine"]
    }
    key_arns      = local.key_arns
    key_alias     = "alias/${local.data_alias}"
    region        = var.region
    log_group_arn = "${local.log_group_arn_prefix}/aws-glue/iceberg-compaction/logs:*"

    trust_source_account = var.trust_conditions.glue
  }
}

module "ledger" {
  source = "../ledger"

  name                = local.ledger
  key_arn             = module.data_key.arn
  deletion_protection = var.protected
}

module "pseudonym_secret" {
  source = "../secret"

  name                 = local.pseudonym_secret
  description          = "Keys for the pseudonyms of ${var.prefix}"
  key_arn              = module.data_key.arn
  recovery_window_days = var.protected ? 30 : 0
}

module "athena" {
  source = "../athena"

  name             = local.workgroup
  account_id       = var.account_id
  results_uri      = "s3://${module.storage.buckets["results"]}/results/athena/"
  key_arn          = module.data_key.arn
  scan_limit_bytes = var.athena_scan_limit_bytes
  force_destroy    = !var.protected
}

# ---- Input

module "object_events" {
  source = "../object-events"

  name            = local.object_rule
  bucket          = module.storage.buckets["raw"]
  queue_arn       = module.ingest_queue.arn
  dead_letter_arn = module.ingest_queue.dead_letter_arn
}

module "ingest_queue" {
  source = "../queue"

  name                     = local.ingest_queue
  arn_prefix               = local.queue_arn_prefix
  max_receive_count        = var.ingest.max_receives
  consumer_timeout_seconds = local.settings["ingest"].timeout_seconds
  batch_seconds            = 0

  # One object can be gigabytes, so each gets the time and the disk of a whole call.
  consumer = {
    function_name       = module.function["ingest"].name
    batch_size          = 1
    maximum_concurrency = var.ingest.concurrency
  }

  senders = [
    {
      service    = "events.amazonaws.com"
      source_arn = local.object_rule_arn
    },
  ]
}

module "stream" {
  source = "../stream"

  name            = local.stream
  arn             = local.stream_arn
  shards          = var.stream.shards
  retention_hours = var.stream.retention_hours
  key_arn         = module.data_key.arn
  consumer        = { function_name = module.function["archive"].name, batch_seconds = var.stream.batch_seconds }
  dead_letter     = { name = local.archive_dlq, arn = "${local.queue_arn_prefix}${local.archive_dlq}" }
}

# ---- From table to table

module "marts_queue" {
  source = "../queue"

  name                     = local.marts_queue
  arn_prefix               = local.queue_arn_prefix
  consumer_timeout_seconds = local.settings["marts"].timeout_seconds
  batch_seconds            = 30

  # The changes of many ingests are handled together.
  consumer = {
    function_name       = module.function["marts"].name
    batch_size          = 100
    maximum_concurrency = 2
  }
}

module "task_dead_letter" {
  source   = "../dead-letter-queue"
  for_each = local.task_dlqs

  name = each.value
  arn  = "${local.queue_arn_prefix}${each.value}"
}

module "schedule" {
  source = "../schedule"

  name       = local.schedule_group
  group_arn  = local.schedule_group_arn
  account_id = var.account_id

  trust_source_account = var.trust_conditions.scheduler

  enabled = var.schedule.enabled
  key_arn = module.operations_key.arn
  key     = { arns = local.key_arns, alias = "alias/${local.operations_alias}" }

  tasks = {
    for task in local.tasks : task => {
      function_arn    = local.function_arns[task]
      expression      = var.schedule[task]
      dead_letter_arn = module.task_dead_letter[task].arn
    }
  }

  depends_on = [module.function]
}

# ---- Output

module "api" {
  source = "../api"

  name                = local.api
  function_name       = module.function["api"].name
  function_invoke_arn = "arn:${local.partition}:apigateway:${var.region}:lambda:path/2015-03-31/functions/${local.function_arns["api"]}/invocations"
  authorization       = var.api.authorization
  throttle            = { rate = var.api.rate, burst = var.api.burst }
  log_key_arn         = module.operations_key.arn
  log_retention_days  = var.retention.log_days
}
