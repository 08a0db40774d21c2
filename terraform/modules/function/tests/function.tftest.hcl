mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/tarn-test-api" }
  }
}

variables {
  name                = "tarn-test-api"
  description         = "Test"
  handler             = "api"
  package             = { path = "main.tf" } # any file: only its hash is read
  memory_mb           = 512
  timeout_seconds     = 29
  environment_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/test"
  log_key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/test"
  log_group_arn       = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/tarn-test-api"
  account_id          = "123456789012"
  statements = [{
    sid       = "ReadRaw"
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::tarn-test-raw/raw/*"]
  }]
}

run "one_function_with_its_role_and_its_log" {
  command = plan

  assert {
    condition = (
      aws_lambda_function.this.runtime == "provided.al2023"
      && aws_lambda_function.this.handler == "api"
      && one(aws_lambda_function.this.logging_config).log_format == "JSON"
      && one(aws_lambda_function.this.tracing_config).mode == "Active"
      && aws_lambda_function.this.reserved_concurrent_executions == -1
    )
    error_message = "The function runs the handler and logs as JSON."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/tarn-test-api" && aws_cloudwatch_log_group.this.retention_in_days == 365
    error_message = "The log group is there before the first call, with its retention."
  }

  assert {
    condition     = length(aws_lambda_function.this.dead_letter_config) == 0
    error_message = "No dead-letter queue where nothing is asynchronous."
  }
}

run "the_role_may_do_its_statements_and_log" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid] == ["WriteOwnLogs", "WriteTraces", "ReadRaw"]
    error_message = "Logs, traces, and the statements."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/tarn-test-api:*"]
    error_message = "Only its own log."
  }
}

run "the_first_apply_depends_on_no_undocumented_condition" {
  command = plan

  assert {
    condition     = !can(jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition)
    error_message = "Lambda may not name the account when it assumes the role."
  }
}

run "the_trust_can_demand_the_account" {
  command = plan

  variables {
    trust_source_account = true
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition == { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    error_message = "Only for this account."
  }
}

run "what_is_asked_for_is_logged" {
  command = plan

  variables {
    log_level = "debug"
  }

  assert {
    condition     = one(aws_lambda_function.this.logging_config).application_log_level == "DEBUG"
    error_message = "Otherwise Lambda would drop lines of level DEBUG."
  }
}

run "metrics_are_logged_at_every_level" {
  command = plan

  variables {
    log_level = "error"
  }

  assert {
    condition     = one(aws_lambda_function.this.logging_config).application_log_level == "INFO"
    error_message = "Lambda takes lines of metrics for INFO and would drop them."
  }
}

run "an_asynchronous_function_has_a_dead_letter_queue" {
  command = plan

  variables {
    dead_letter_arn = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-task-marts-dlq"
  }

  assert {
    condition     = one(aws_lambda_function.this.dead_letter_config).target_arn == "arn:aws:sqs:eu-central-1:123456789012:tarn-test-task-marts-dlq"
    error_message = "What failed is kept."
  }
}

run "wildcards_are_refused" {
  command = plan

  variables {
    statements = [{ sid = "All", actions = ["s3:*"], resources = ["*"] }]
  }

  expect_failures = [var.statements]
}

run "a_package_of_this_machine_is_uploaded_when_its_content_changes" {
  command = plan

  assert {
    condition     = aws_lambda_function.this.filename == "main.tf" && aws_lambda_function.this.source_code_hash == filebase64sha256("main.tf")
    error_message = "The file, and the hash of its content."
  }

  assert {
    condition     = aws_lambda_function.this.s3_bucket == null && aws_lambda_function.this.s3_key == null && aws_lambda_function.this.s3_object_version == null
    error_message = "Nothing of S3."
  }
}

run "a_package_in_a_bucket_is_taken_from_there" {
  command = plan

  variables {
    package = {
      bucket         = "releases"
      key            = "tarn/tarn-lambda-0.1.0-x86_64-unknown-linux-gnu.zip"
      object_version = "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"
      sha256         = filesha256("main.tf")
    }
  }

  assert {
    condition = (
      aws_lambda_function.this.s3_bucket == "releases"
      && aws_lambda_function.this.s3_key == "tarn/tarn-lambda-0.1.0-x86_64-unknown-linux-gnu.zip"
      && aws_lambda_function.this.s3_object_version == "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"
      && aws_lambda_function.this.filename == null
    )
    error_message = "Bucket, key and version, and no file."
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("main.tf")
    error_message = "The hash of SHA256SUMS as AWS has it."
  }
}

run "a_package_in_a_bucket_needs_no_version_and_no_hash" {
  command = apply

  variables {
    package = { bucket = "releases", key = "tarn.zip" }
  }

  assert {
    condition     = aws_lambda_function.this.s3_key == "tarn.zip" && aws_lambda_function.this.s3_object_version == null && local.source_code_hash == null
    error_message = "Bucket and key alone."
  }
}

run "a_hash_of_low_digits_is_that_of_aws_too" {
  command = plan

  variables {
    package = { bucket = "releases", key = "tarn.zip", sha256 = "0000000000000000000000000000000000000000000000000000000000000001" }
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
    error_message = "No zero is lost."
  }
}

run "a_hash_of_high_digits_is_that_of_aws_too" {
  command = plan

  variables {
    package = { bucket = "releases", key = "tarn.zip", sha256 = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" }
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == "//////////////////////////////////////////8="
    error_message = "The last letters of the alphabet."
  }
}

run "no_package_is_refused" {
  command = plan

  variables {
    package = {}
  }

  expect_failures = [var.package]
}

run "two_packages_are_refused" {
  command = plan

  variables {
    package = { path = "main.tf", bucket = "releases", key = "tarn.zip" }
  }

  expect_failures = [var.package]
}

run "a_bucket_without_a_key_is_refused" {
  command = plan

  variables {
    package = { bucket = "releases" }
  }

  expect_failures = [var.package]
}

run "a_key_without_a_bucket_is_refused" {
  command = plan

  variables {
    package = { key = "tarn.zip" }
  }

  expect_failures = [var.package]
}

run "a_path_beside_a_key_is_refused" {
  command = plan

  variables {
    package = { path = "main.tf", key = "tarn.zip" }
  }

  expect_failures = [var.package]
}

run "a_hash_of_a_path_is_refused" {
  command = plan

  variables {
    package = { path = "main.tf", sha256 = filesha256("main.tf") }
  }

  expect_failures = [var.package]
}

run "a_version_of_a_path_is_refused" {
  command = plan

  variables {
    package = { path = "main.tf", object_version = "1" }
  }

  expect_failures = [var.package]
}

run "a_path_without_a_file_is_refused" {
  command = plan

  variables {
    package = { path = "missing.zip" }
  }

  expect_failures = [var.package]
}

run "a_hash_of_another_form_is_refused" {
  command = plan

  variables {
    package = { bucket = "releases", key = "tarn.zip", sha256 = filebase64sha256("main.tf") }
  }

  expect_failures = [var.package]
}

run "an_empty_key_is_refused" {
  command = plan

  variables {
    package = { bucket = "releases", key = "" }
  }

  expect_failures = [var.package]
}

run "bad_values_are_refused" {
  command = plan

  variables {
    handler              = "other"
    architecture         = "i386"
    memory_mb            = 64
    timeout_seconds      = 901
    disk_mb              = 100
    reserved_concurrency = -2
    log_level            = "loud"
    log_retention_days   = 42
  }

  expect_failures = [var.handler, var.architecture, var.memory_mb, var.timeout_seconds, var.disk_mb, var.reserved_concurrency, var.log_level, var.log_retention_days]
}
