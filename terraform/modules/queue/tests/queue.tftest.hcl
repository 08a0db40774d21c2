mock_provider "aws" {}

variables {
  name                     = "tarn-test-ingest"
  arn_prefix               = "arn:aws:sqs:eu-central-1:123456789012:"
  consumer_timeout_seconds = 300
  consumer                 = { function_name = "tarn-test-ingest" }
}

run "a_message_is_tried_five_times_and_then_kept" {
  command = plan

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest-dlq", maxReceiveCount = 5 }
    error_message = "The dead-letter queue takes it after five receives."
  }

  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 1805
    error_message = "Six times the function's timeout, and the time to collect a batch."
  }
}

run "the_function_reports_partial_failures" {
  command = plan

  assert {
    condition     = tolist(aws_lambda_event_source_mapping.this.function_response_types) == tolist(["ReportBatchItemFailures"])
    error_message = "One bad message does not fail the others."
  }

  assert {
    condition     = one(aws_lambda_event_source_mapping.this.scaling_config).maximum_concurrency == 10
    error_message = "Concurrency is limited at the queue."
  }
}

run "without_senders_the_policy_only_denies" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_sqs_queue_policy.this.policy).Statement : statement.Effect] == ["Deny"]
    error_message = "Roles are allowed by their own policies."
  }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    name                     = "tarn-test-dlq"
    arn_prefix               = "arn:aws:sqs:*:123456789012:"
    consumer_timeout_seconds = 10000
    max_receive_count        = 0
  }

  expect_failures = [var.name, var.arn_prefix, var.consumer_timeout_seconds, var.max_receive_count]
}

run "a_batch_that_lambda_does_not_wait_for_is_refused" {
  command = plan

  variables {
    batch_seconds = 301
  }

  expect_failures = [var.batch_seconds]
}

run "a_concurrency_that_lambda_does_not_offer_is_refused" {
  command = plan

  variables {
    consumer = { function_name = "tarn-test-ingest", maximum_concurrency = 1 }
  }

  expect_failures = [var.consumer]
}

run "large_batches_need_time_to_collect_them" {
  command = plan

  variables {
    consumer      = { function_name = "tarn-test-ingest", batch_size = 100 }
    batch_seconds = 0
  }

  expect_failures = [var.consumer]
}
