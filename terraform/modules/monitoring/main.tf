# ---- Where alarms go

resource "aws_sns_topic" "this" {
  name              = var.topic.name
  display_name      = "Tarn alarms"
  kms_master_key_id = var.topic.key_arn
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = var.topic.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = var.topic.arn
        Condition = {
          ArnLike      = { "aws:SourceArn" = var.alarm_arns }
          StringEquals = { "aws:SourceAccount" = var.account_id }
        }
      },
      {
        Sid       = "Budgets"
        Effect    = "Allow"
        Principal = { Service = "budgets.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = var.topic.arn
        Condition = {
          ArnLike      = { "aws:SourceArn" = var.budget_arns }
          StringEquals = { "aws:SourceAccount" = var.account_id }
        }
      },
    ]
  })
}

module "dead_letter" {
  source = "../dead-letter-queue"

  name    = var.dead_letter.name
  arn     = var.dead_letter.arn
  senders = [{ service = "sns.amazonaws.com", source_arn = var.topic.arn }]
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn      = aws_sns_topic.this.arn
  protocol       = "email"
  endpoint       = each.value
  redrive_policy = jsonencode({ deadLetterTargetArn = module.dead_letter.arn })
}

# ---- Alarms. Each description names the runbook.

locals {
  # By name, so that the plan shows it.
  actions = [var.topic.arn]
  dead_letter_queues = merge(
    var.dead_letter_queues,
    { notifications = module.dead_letter.name },
  )
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.dead_letter_queues

  alarm_name          = "${var.prefix}-dead-letters-${each.key}"
  alarm_description   = "There are messages in ${each.value}. docs/runbooks/dead-letters.md"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "queue_age" {
  for_each = var.queues

  alarm_name          = "${var.prefix}-queue-age-${each.key}"
  alarm_description   = "The oldest message of ${each.value.name} waits too long. docs/runbooks/queue-age.md"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = each.value.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.max_age_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "iterator_age" {
  alarm_name          = "${var.prefix}-iterator-age"
  alarm_description   = "The archive of the stream ${var.stream_name} is behind. docs/runbooks/iterator-age.md"
  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  dimensions          = { FunctionName = var.stream_reader.function_name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.stream_reader.max_iterator_age_ms
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = var.functions

  alarm_name          = "${var.prefix}-errors-${each.key}"
  alarm_description   = "Calls of ${each.value} fail. docs/runbooks/function-errors.md"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = each.value }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.thresholds.errors
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = var.functions

  alarm_name          = "${var.prefix}-throttles-${each.key}"
  alarm_description   = "Calls of ${each.value} are throttled for 15 minutes. docs/runbooks/function-throttles.md"
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.thresholds.throttles
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "api_errors" {
  alarm_name          = "${var.prefix}-api-errors"
  alarm_description   = "The HTTP API answers with 5xx. docs/runbooks/api-errors.md"
  namespace           = "AWS/ApiGateway"
  metric_name         = "5xx"
  dimensions          = { ApiId = var.api_id }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.thresholds.api_errors
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "freshness" {
  for_each = var.freshness

  alarm_name          = "${var.prefix}-freshness-${each.key}"
  alarm_description   = "Nothing new in ${each.key} for longer than allowed. docs/runbooks/freshness.md"
  namespace           = var.metrics_namespace
  metric_name         = "FreshnessSeconds"
  dimensions          = { Dataset = each.key }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "promises" {
  for_each = var.quality

  alarm_name          = "${var.prefix}-promises-${each.key}"
  alarm_description   = "A service level of the contract of ${each.key} is missed. docs/runbooks/promises.md"
  namespace           = var.metrics_namespace
  metric_name         = "PromiseBroken"
  dimensions          = { Dataset = each.key }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

resource "aws_cloudwatch_metric_alarm" "anomalies" {
  for_each = var.quality

  alarm_name          = "${var.prefix}-anomalies-${each.key}"
  alarm_description   = "A value of ${each.key} is outside the range that its history suggests. docs/runbooks/anomalies.md"
  namespace           = var.metrics_namespace
  metric_name         = "AnomaliesFound"
  dimensions          = { Dataset = each.key }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}

# Freshness depends on the function that measures it; this alarm is raised when that function does not
# run at all. So for this alarm only, missing data is a breach.
resource "aws_cloudwatch_metric_alarm" "quality_silent" {
  alarm_name          = "${var.prefix}-quality-silent"
  alarm_description   = "${var.functions["quality"]} did not run for three hours, so freshness, service levels and anomalies are not measured. docs/runbooks/quality-silent.md"
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = var.functions["quality"] }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
}
