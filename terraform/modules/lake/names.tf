# Names, and the ARNs that follow from them. Nothing here depends on AWS, so every policy is known when
# the plan is made and can be reviewed and tested there.
locals {
  partition = (
    startswith(var.region, "cn-") ? "aws-cn" :
    startswith(var.region, "us-gov-") ? "aws-us-gov" : "aws"
  )
  here     = "${var.region}:${var.account_id}"
  root_arn = "arn:${local.partition}:iam::${var.account_id}:root"

  buckets = {
    for zone in ["raw", "curated", "analytics", "quarantine", "results"] :
    zone => "${var.prefix}-${zone}-${var.account_id}"
  }
  bucket_arns = { for zone, name in local.buckets : zone => "arn:${local.partition}:s3:::${name}" }

  databases = {
    for zone in ["curated", "analytics", "quality"] :
    zone => "${replace(var.prefix, "-", "_")}_${zone}"
  }
  glue_arn_prefix = "arn:${local.partition}:glue:${local.here}:"

  ledger     = "${var.prefix}-ledger"
  ledger_arn = "arn:${local.partition}:dynamodb:${local.here}:table/${local.ledger}"

  # AWS adds a hyphen and six characters to the ARN of a secret.
  pseudonym_secret     = "${var.prefix}-pseudonym-keys"
  pseudonym_secret_arn = "arn:${local.partition}:secretsmanager:${local.here}:secret:${local.pseudonym_secret}-??????"

  stream     = "${var.prefix}-events"
  stream_arn = "arn:${local.partition}:kinesis:${local.here}:stream/${local.stream}"

  queue_arn_prefix = "arn:${local.partition}:sqs:${local.here}:"
  ingest_queue     = "${var.prefix}-ingest"
  marts_queue      = "${var.prefix}-marts"
  archive_dlq      = "${var.prefix}-archive-dlq"
  tasks            = toset(["marts", "quality", "maintain"])
  task_dlqs        = { for task in local.tasks : task => "${var.prefix}-task-${task}-dlq" }

  object_rule     = "${var.prefix}-raw-objects"
  object_rule_arn = "arn:${local.partition}:events:${local.here}:rule/${local.object_rule}"

  function_names = { for name in keys(local.functions) : name => "${var.prefix}-${name}" }
  function_arns  = { for name, function in local.function_names : name => "arn:${local.partition}:lambda:${local.here}:function:${function}" }

  schedule_group     = "${var.prefix}-tasks"
  schedule_group_arn = "arn:${local.partition}:scheduler:${local.here}:schedule-group/${local.schedule_group}"

  workgroup     = var.prefix
  workgroup_arn = "arn:${local.partition}:athena:${local.here}:workgroup/${local.workgroup}"

  api = "${var.prefix}-api"

  # Metrics contain neither an ARN nor an account: only the name distinguishes two lakes.
  metrics_namespace = "Tarn/${var.prefix}"

  alarm_topic     = "${var.prefix}-alarms"
  alarm_topic_arn = "arn:${local.partition}:sns:${local.here}:${local.alarm_topic}"
  alarm_dlq       = "${var.prefix}-alarms-dlq"
  alarm_arns      = "arn:${local.partition}:cloudwatch:${local.here}:alarm:${var.prefix}-*"
  # In the form that AWS documents for the policy of a topic.
  budget_arns = "arn:${local.partition}:budgets::${var.account_id}:*"

  # AWS chooses a key's id. Roles are therefore allowed to use the account's keys on condition that the
  # key has the lake's alias.
  key_arns         = "arn:${local.partition}:kms:${local.here}:key/*"
  data_alias       = "${var.prefix}-data"
  operations_alias = "${var.prefix}-operations"

  log_group_arn_prefix = "arn:${local.partition}:logs:${local.here}:log-group:"
}
