mock_provider "aws" {}

variables {
  prefix             = "tarn-test"
  region             = "eu-central-1"
  account_id         = "123456789012"
  topic              = { name = "tarn-test-alarms", arn = "arn:aws:sns:eu-central-1:123456789012:tarn-test-alarms", key_arn = "arn:aws:kms:eu-central-1:123456789012:key/test" }
  dead_letter        = { name = "tarn-test-alarms-dlq", arn = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-alarms-dlq" }
  alarm_arns         = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:tarn-test-*"
  budget_arns        = "arn:aws:budgets::123456789012:*"
  emails             = ["data-team@example.com"]
  dead_letter_queues = { ingest = "tarn-test-ingest-dlq" }
  queues             = { ingest = { name = "tarn-test-ingest", max_age_seconds = 3600 } }
  functions          = { ingest = "tarn-test-ingest", quality = "tarn-test-quality" }
  stream_reader      = { function_name = "tarn-test-archive", max_iterator_age_ms = 600000 }
  stream_name        = "tarn-test-events"
  api_id             = "abcdef"
  ledger_name        = "tarn-test-ledger"
  freshness          = { ad_events = 21600 }
  quality            = ["ad_events"]
  metrics_namespace  = "Tarn/tarn-test"
}

override_resource {
  target          = aws_sns_topic.this
  override_during = plan
  values          = { arn = "arn:aws:sns:eu-central-1:123456789012:tarn-test-alarms" }
}

run "one_dead_letter_is_enough" {
  command = plan

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.dead_letters)) == toset(["ingest", "notifications"])
    error_message = "Every dead-letter queue, the one of notifications too."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.dead_letters["ingest"].threshold == 0 && aws_cloudwatch_metric_alarm.dead_letters["ingest"].comparison_operator == "GreaterThanThreshold"
    error_message = "More than none."
  }
}

run "every_function_has_its_alarms" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.errors) == 2 && length(aws_cloudwatch_metric_alarm.throttles) == 2
    error_message = "Errors and throttles."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.quality_silent.treat_missing_data == "breaching"
    error_message = "Silence of the one that measures is a breach."
  }
}

run "alarms_go_to_the_topic_both_ways" {
  command = plan

  assert {
    condition     = tolist(aws_cloudwatch_metric_alarm.iterator_age.alarm_actions) == tolist([var.topic.arn]) && tolist(aws_cloudwatch_metric_alarm.iterator_age.ok_actions) == tolist([var.topic.arn])
    error_message = "Raised and cleared."
  }

  assert {
    condition     = jsondecode(aws_sns_topic_subscription.email["data-team@example.com"].redrive_policy).deadLetterTargetArn == var.dead_letter.arn
    error_message = "What cannot be delivered is kept."
  }
}

run "the_dashboard_shows_every_queue_and_function" {
  command = plan

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 14
    error_message = "14 graphs."
  }

  assert {
    condition     = alltrue([for name in ["tarn-test-ingest-dlq", "tarn-test-alarms-dlq", "tarn-test-quality", "tarn-test-events", "abcdef", "tarn-test-ledger"] : strcontains(aws_cloudwatch_dashboard.this.dashboard_body, name)])
    error_message = "Everything is on it."
  }
}

run "only_the_lakes_own_metrics_are_looked_at" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in [
        aws_cloudwatch_metric_alarm.freshness["ad_events"],
        aws_cloudwatch_metric_alarm.promises["ad_events"],
        aws_cloudwatch_metric_alarm.anomalies["ad_events"],
      ] : alarm.namespace == "Tarn/tarn-test"
    ])
    error_message = "Another lake of the account has other metrics."
  }

  assert {
    condition = alltrue([
      for metric in flatten(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[*].properties.metrics[*][0]) :
      startswith(metric.expression, "SUM(SEARCH('{\"Tarn/tarn-test\",Dataset} ") || startswith(metric.expression, "SEARCH('{\"Tarn/tarn-test\",Dataset} ")
      if can(metric.expression)
    ])
    error_message = "The name must be quoted, because it has more than letters and digits."
  }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    emails            = ["nobody"]
    freshness         = { ad_events = 60 }
    thresholds        = { errors = 0 }
    metrics_namespace = "AWS/Lambda"
  }

  expect_failures = [var.emails, var.freshness, var.thresholds, var.metrics_namespace]
}
