mock_provider "aws" {}

variables {
  name = "tarn-test-ingest-dlq"
  arn  = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest-dlq"
}

run "messages_stay_for_two_weeks_encrypted" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this.message_retention_seconds == 1209600 && aws_sqs_queue.this.sqs_managed_sse_enabled
    error_message = "14 days, the longest that SQS offers, and encrypted."
  }
}

run "without_sources_no_queue_may_redrive_here" {
  command = plan

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_allow_policy) == { redrivePermission = "denyAll" }
    error_message = "No queue may name this one, and the policy must contain nothing else."
  }
}

run "named_sources_may" {
  command = plan

  variables {
    source_arns = ["arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest"]
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest"] }
    error_message = "Only the named queue."
  }
}

run "a_sender_is_bound_to_its_resource" {
  command = plan

  variables {
    senders = [{ service = "events.amazonaws.com", source_arn = "arn:aws:events:eu-central-1:123456789012:rule/tarn-test" }]
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_policy.this.policy).Statement[1].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:events:eu-central-1:123456789012:rule/tarn-test"
    error_message = "The condition names the rule."
  }
}

run "a_sender_with_a_wildcard_is_refused" {
  command = plan

  variables {
    senders = [{ service = "events.amazonaws.com", source_arn = "arn:aws:events:eu-central-1:123456789012:rule/*" }]
  }

  expect_failures = [var.senders]
}

run "another_name_is_refused" {
  command = plan

  variables {
    name = "tarn-test-ingest"
  }

  expect_failures = [var.name]
}
