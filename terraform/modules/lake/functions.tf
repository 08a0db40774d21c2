# The six functions: their settings, and what each may do.
locals {
  # The differences between the functions. A run of the marts reads whole tables; an ingest has bounded
  # memory but benefits from the processor that comes with more memory.
  functions = {
    ingest = {
      description     = "Raw objects to curated tables and quarantine"
      memory_mb       = 2048
      timeout_seconds = 300
      disk_mb         = 4096
      dead_letter_arn = null
    }
    archive = {
      description     = "Records of the stream to raw objects"
      memory_mb       = 512
      timeout_seconds = 60
      disk_mb         = 512
      dead_letter_arn = null
    }
    marts = {
      description     = "KPI tables from curated tables"
      memory_mb       = 3008
      timeout_seconds = 600
      disk_mb         = 4096
      dead_letter_arn = "${local.queue_arn_prefix}${local.task_dlqs["marts"]}"
    }
    quality = {
      description     = "Results, reports, service levels and anomalies"
      memory_mb       = 1024
      timeout_seconds = 600
      disk_mb         = 2048
      dead_letter_arn = "${local.queue_arn_prefix}${local.task_dlqs["quality"]}"
    }
    maintain = {
      description     = "Expiry of snapshots, orphaned files, retention"
      memory_mb       = 1024
      timeout_seconds = 900
      disk_mb         = 512
      dead_letter_arn = "${local.queue_arn_prefix}${local.task_dlqs["maintain"]}"
    }
    api = {
      description = "Tables and SQL over HTTP"
      memory_mb   = 3008
      # The HTTP API times out after 30 seconds.
      timeout_seconds = 29
      disk_mb         = 4096
      dead_letter_arn = null
    }
  }

  # Overrides win.
  settings = {
    for name, function in local.functions : name => {
      memory_mb            = try(coalesce(var.functions[name].memory_mb, function.memory_mb), function.memory_mb)
      timeout_seconds      = try(coalesce(var.functions[name].timeout_seconds, function.timeout_seconds), function.timeout_seconds)
      disk_mb              = try(coalesce(var.functions[name].disk_mb, function.disk_mb), function.disk_mb)
      reserved_concurrency = try(coalesce(var.functions[name].reserved_concurrency, -1), -1)
    }
  }

  # By name, so that the plan shows the settings of each function.
  bucket_variables = {
    raw        = { TARN_RAW_BUCKET = local.buckets.raw }
    curated    = { TARN_CURATED_BUCKET = local.buckets.curated }
    analytics  = { TARN_ANALYTICS_BUCKET = local.buckets.analytics }
    quarantine = { TARN_QUARANTINE_BUCKET = local.buckets.quarantine }
    results    = { TARN_RESULTS_BUCKET = local.buckets.results }
  }
  database_variables = {
    curated   = { TARN_CURATED_DATABASE = local.databases.curated }
    analytics = { TARN_ANALYTICS_DATABASE = local.databases.analytics }
    quality   = { TARN_QUALITY_DATABASE = local.databases.quality }
  }
  ledger_variables = { TARN_LEDGER_TABLE = local.ledger, TARN_RUN_DAYS = tostring(var.retention.run_days) }

  environment = {
    ingest = merge(
      local.bucket_variables.raw,
      local.bucket_variables.curated,
      local.bucket_variables.quarantine,
      local.database_variables.curated,
      local.database_variables.quality,
      local.ledger_variables,
      {
        TARN_INGEST_QUEUE_URL = module.ingest_queue.url
        TARN_MARTS_QUEUE_URL  = module.marts_queue.url
        TARN_PSEUDONYM_SECRET = module.pseudonym_secret.arn
      },
    )
    archive = merge(
      local.bucket_variables.raw,
      { TARN_STREAM = local.stream, TARN_STREAM_DATASET = var.stream.dataset },
    )
    marts = merge(
      local.bucket_variables.curated,
      local.bucket_variables.analytics,
      local.database_variables.curated,
      local.database_variables.analytics,
      local.ledger_variables,
      { TARN_MARTS_QUEUE_URL = module.marts_queue.url },
    )
    quality = merge(
      local.bucket_variables.quarantine,
      local.bucket_variables.results,
      local.database_variables.quality,
      local.ledger_variables,
    )
    maintain = merge(
      local.bucket_variables.curated,
      local.bucket_variables.analytics,
      local.bucket_variables.quarantine,
      local.database_variables.curated,
      local.database_variables.analytics,
      local.database_variables.quality,
      local.ledger_variables,
      {
        TARN_KEEP_DAYS     = tostring(var.retention.table_days)
        TARN_KEEP_VERSIONS = tostring(var.retention.table_versions)
        TARN_ORPHAN_DAYS   = tostring(var.retention.orphan_days)
      },
    )
    api = merge(concat(
      values(local.bucket_variables),
      values(local.database_variables),
      [local.ledger_variables],
    )...)
  }
}

module "function" {
  source   = "../function"
  for_each = local.functions

  name                 = local.function_names[each.key]
  account_id           = var.account_id
  trust_source_account = var.trust_conditions.lambda
  description          = each.value.description
  handler              = each.key
  package              = local.package
  architecture         = var.architecture
  memory_mb            = local.settings[each.key].memory_mb
  timeout_seconds      = local.settings[each.key].timeout_seconds
  disk_mb              = local.settings[each.key].disk_mb
  reserved_concurrency = local.settings[each.key].reserved_concurrency
  dead_letter_arn      = each.value.dead_letter_arn
  environment_key_arn  = module.operations_key.arn
  log_level            = var.log_level
  log_key_arn          = module.operations_key.arn
  log_group_arn        = "${local.log_group_arn_prefix}/aws/lambda/${local.function_names[each.key]}"
  log_retention_days   = var.retention.log_days
  statements           = local.statements[each.key]

  environment = merge(local.environment[each.key], {
    TARN_LOG               = var.log_level
    TARN_METRICS_NAMESPACE = local.metrics_namespace
  })
}
