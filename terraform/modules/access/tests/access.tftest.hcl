mock_provider "aws" {}

variables {
  prefix = "tarn-test"
  bucket_arns = {
    raw        = "arn:aws:s3:::tarn-test-raw"
    curated    = "arn:aws:s3:::tarn-test-curated"
    analytics  = "arn:aws:s3:::tarn-test-analytics"
    quarantine = "arn:aws:s3:::tarn-test-quarantine"
    results    = "arn:aws:s3:::tarn-test-results"
  }
  glue_arns = {
    curated   = ["arn:aws:glue:eu-central-1:123456789012:catalog", "arn:aws:glue:eu-central-1:123456789012:database/tarn_test_curated"]
    analytics = ["arn:aws:glue:eu-central-1:123456789012:catalog", "arn:aws:glue:eu-central-1:123456789012:database/tarn_test_analytics"]
    quality   = ["arn:aws:glue:eu-central-1:123456789012:catalog", "arn:aws:glue:eu-central-1:123456789012:database/tarn_test_quality"]
  }
  workgroup_arn  = "arn:aws:athena:eu-central-1:123456789012:workgroup/tarn-test"
  queue_arns     = { work = ["arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest"], dead_letter = ["arn:aws:sqs:eu-central-1:123456789012:tarn-test-ingest-dlq"] }
  stream_arn     = "arn:aws:kinesis:eu-central-1:123456789012:stream/tarn-test-events"
  ledger_arn     = "arn:aws:dynamodb:eu-central-1:123456789012:table/tarn-test-ledger"
  function_arns  = ["arn:aws:lambda:eu-central-1:123456789012:function:tarn-test-marts"]
  log_group_arns = ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/tarn-test-marts"]
  key            = { arns = "arn:aws:kms:eu-central-1:123456789012:key/*", alias = "alias/tarn-test-data", region = "eu-central-1" }
}

run "nobody_by_default" {
  command = plan

  assert {
    condition     = length(aws_iam_role.this) == 0
    error_message = "There must be no role without a principal."
  }
}

run "only_the_personas_that_are_named" {
  command = plan

  variables {
    personas = { marketer = ["arn:aws:iam::123456789012:role/marketers"] }
  }

  assert {
    condition     = keys(aws_iam_role.this) == ["marketer"]
    error_message = "One role."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this["marketer"].assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:role/marketers"]
    error_message = "The role must be for the named principal."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.this["marketer"].policy).Statement :
      !anytrue([for arn in flatten([statement.Resource]) : strcontains(arn, "curated") || strcontains(arn, "raw")])
    ])
    error_message = "A marketer must only see KPI tables."
  }
}

run "everybody_is_refused" {
  command = plan

  variables {
    personas = { analyst = ["*"] }
  }

  expect_failures = [var.personas]
}

run "a_long_session_is_refused" {
  command = plan

  variables {
    session_seconds = 100000
  }

  expect_failures = [var.session_seconds]
}
