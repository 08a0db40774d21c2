mock_provider "aws" {}

variables {
  name        = "tarn-test-events"
  arn         = "arn:aws:kinesis:eu-central-1:123456789012:stream/tarn-test-events"
  key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/test"
  consumer    = { function_name = "tarn-test-archive" }
  dead_letter = { name = "tarn-test-archive-dlq", arn = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-archive-dlq" }
}

run "on_demand_by_default" {
  command = plan

  assert {
    condition     = one(aws_kinesis_stream.this.stream_mode_details).stream_mode == "ON_DEMAND" && aws_kinesis_stream.this.retention_period == 72
    error_message = "It grows by itself and keeps three days."
  }
}

run "provisioned_where_shards_are_given" {
  command = plan

  variables {
    shards = 4
  }

  assert {
    condition     = one(aws_kinesis_stream.this.stream_mode_details).stream_mode == "PROVISIONED" && aws_kinesis_stream.this.shard_count == 4
    error_message = "Four shards."
  }
}

run "no_record_blocks_a_shard" {
  command = plan

  assert {
    condition = (
      aws_lambda_event_source_mapping.this.bisect_batch_on_function_error
      && aws_lambda_event_source_mapping.this.maximum_retry_attempts == 5
      && aws_lambda_event_source_mapping.this.maximum_record_age_in_seconds == 86400
      && tolist(aws_lambda_event_source_mapping.this.function_response_types) == tolist(["ReportBatchItemFailures"])
    )
    error_message = "Batches are split, retried within limits, and fail in part."
  }

  assert {
    condition     = one(one(aws_lambda_event_source_mapping.this.destination_config).on_failure).destination_arn == "arn:aws:sqs:eu-central-1:123456789012:tarn-test-archive-dlq"
    error_message = "What is given up is told."
  }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    shards          = 0
    retention_hours = 1
  }

  expect_failures = [var.shards, var.retention_hours]
}

run "retries_without_end_are_refused" {
  command = plan

  variables {
    consumer = { function_name = "tarn-test-archive", maximum_retries = -1 }
  }

  expect_failures = [var.consumer]
}
