mock_provider "aws" {}

variables {
  name            = "tarn-test-raw-objects"
  bucket          = "tarn-test-raw-123456789012"
  queue_arn       = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest"
  dead_letter_arn = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest-dlq"
}

run "only_new_objects_under_the_prefix" {
  command = plan

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this.event_pattern) == {
      source      = ["aws.s3"]
      detail-type = ["Object Created"]
      detail = {
        bucket = { name = ["tarn-test-raw-123456789012"] }
        object = { key = [{ prefix = "raw/" }] }
      }
    }
    error_message = "The pattern selects new objects of the raw zone."
  }
}

run "what_cannot_be_delivered_is_kept" {
  command = plan

  assert {
    condition     = one(aws_cloudwatch_event_target.this.dead_letter_config).arn == "arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest-dlq"
    error_message = "The dead-letter queue gets it."
  }
}
