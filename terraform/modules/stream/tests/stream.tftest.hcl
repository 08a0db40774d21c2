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
    error_message = "It must scale automatically and keep records for three days."
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

run "a_batch_is_tried_again_until_its_records_are_too_old" {
  command = plan

  assert {
    condition = (
      aws_lambda_event_source_mapping.this.bisect_batch_on_function_error
      && aws_lambda_event_source_mapping.this.maximum_retry_attempts == -1
      && aws_lambda_event_source_mapping.this.maximum_record_age_in_seconds == 86400
      && tolist(aws_lambda_event_source_mapping.this.function_response_types) == tolist(["ReportBatchItemFailures"])
    )
    error_message = "Batches are split, fail in part, and are tried again for a day, not for a few minutes."
  }

  assert {
    condition     = one(one(aws_lambda_event_source_mapping.this.destination_config).on_failure).destination_arn == "arn:aws:sqs:eu-central-1:123456789012:tarn-test-archive-dlq"
    error_message = "The dead-letter queue must be notified."
  }
}

run "records_are_given_up_while_they_can_still_be_read" {
  command = plan

  variables {
    retention_hours = 24
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.maximum_record_age_in_seconds == 43200
    error_message = "Half of the stream's retention is left to read them again."
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

run "records_that_outlive_the_stream_are_refused" {
  command = plan

  variables {
    retention_hours = 24
    consumer        = { function_name = "tarn-test-archive", maximum_record_age = 86400 }
  }

  expect_failures = [var.consumer]
}

run "a_number_of_retries_that_lambda_does_not_offer_is_refused" {
  command = plan

  variables {
    consumer = { function_name = "tarn-test-archive", maximum_retries = -2 }
  }

  expect_failures = [var.consumer]
}
