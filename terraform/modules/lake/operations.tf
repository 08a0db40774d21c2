# Alarms, the dashboard, the budget, and what people may do.

module "monitoring" {
  source = "../monitoring"

  prefix            = var.prefix
  region            = var.region
  account_id        = var.account_id
  metrics_namespace = local.metrics_namespace
  topic             = { name = local.alarm_topic, arn = local.alarm_topic_arn, key_arn = module.operations_key.arn }
  dead_letter       = { name = local.alarm_dlq, arn = "${local.queue_arn_prefix}${local.alarm_dlq}" }
  alarm_arns        = local.alarm_arns
  budget_arns       = local.budget_arns
  emails            = var.alarms.emails

  dead_letter_queues = merge(
    {
      ingest  = module.ingest_queue.dead_letter_name
      marts   = module.marts_queue.dead_letter_name
      archive = module.stream.dead_letter_name
    },
    { for task, queue in module.task_dead_letter : "task-${task}" => queue.name },
  )

  queues = {
    ingest = { name = module.ingest_queue.name, max_age_seconds = var.alarms.ingest_age_seconds }
    marts  = { name = module.marts_queue.name, max_age_seconds = var.alarms.marts_age_seconds }
  }

  functions     = local.function_names
  stream_reader = { function_name = local.function_names["archive"], max_iterator_age_ms = var.alarms.max_iterator_age_ms }
  stream_name   = local.stream
  api_id        = module.api.id
  ledger_name   = local.ledger
  freshness     = var.alarms.freshness
  quality       = var.alarms.quality

  thresholds = {
    errors     = var.alarms.errors
    throttles  = var.alarms.throttles
    api_errors = var.alarms.api_errors
  }
}

module "budget" {
  source = "../budget"
  count  = var.budget == null ? 0 : 1

  name        = var.prefix
  account_id  = var.account_id
  monthly_usd = var.budget.monthly_usd
  cost_tag    = var.budget.by_tag ? { key = "Project", value = "tarn" } : null
  topic_arn   = module.monitoring.topic_arn
}

module "access" {
  source = "../access"

  prefix        = var.prefix
  personas      = var.personas
  bucket_arns   = local.bucket_arns
  glue_arns     = local.glue_arns
  workgroup_arn = local.workgroup_arn
  stream_arn    = local.stream_arn
  ledger_arn    = local.ledger_arn
  function_arns = [for task in local.tasks : local.function_arns[task]]
  key           = { arns = local.key_arns, alias = "alias/${local.data_alias}", region = var.region }

  queue_arns = {
    work = ["${local.queue_arn_prefix}${local.ingest_queue}", "${local.queue_arn_prefix}${local.marts_queue}"]
    dead_letter = [
      for name in concat(
        ["${local.ingest_queue}-dlq", "${local.marts_queue}-dlq", local.archive_dlq],
        values(local.task_dlqs),
      ) : "${local.queue_arn_prefix}${name}"
    ]
  }

  log_group_arns = concat(
    [for function in values(local.function_names) : "${local.log_group_arn_prefix}/aws/lambda/${function}"],
    ["${local.log_group_arn_prefix}/aws/apigateway/${local.api}"],
  )
}
