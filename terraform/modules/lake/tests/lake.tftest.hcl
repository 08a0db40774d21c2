mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/mock" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mock" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:mock" }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      api_endpoint  = "https://abcdef.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:abcdef"
    }
  }
}

variables {
  prefix     = "tarn-test"
  region     = "eu-central-1"
  account_id = "123456789012"
  package    = { path = "main.tf" } # any file: only its hash is read
}

run "the_whole_lake_with_its_defaults" {
  command = apply

  assert {
    condition     = output.functions == { for name in ["ingest", "archive", "marts", "quality", "maintain", "api"] : name => "tarn-test-${name}" }
    error_message = "Six functions by the prefix."
  }

  assert {
    condition     = output.curated_database == "tarn_test_curated" && output.quality_database == "tarn_test_quality"
    error_message = "Databases without hyphens."
  }

  assert {
    condition     = output.api_endpoint == "https://abcdef.execute-api.eu-central-1.amazonaws.com"
    error_message = "The API's address is known."
  }

  assert {
    condition     = length(output.task_dlq_urls) == 3 && length(output.persona_roles) == 0
    error_message = "There must be a dead-letter queue per task, and no persona without a principal."
  }
}

run "every_alarm_is_named_by_the_prefix" {
  command = apply

  assert {
    # Dead letters of 7 queues, ages of 2, errors and throttles of 6 functions, and 3 single ones.
    condition     = length(output.alarms) == 24 && alltrue([for name in output.alarms : startswith(name, "tarn-test-")])
    error_message = "24 alarms."
  }
}

run "other_partitions_have_other_arns" {
  command = plan

  variables {
    region = "cn-north-1"
  }

  assert {
    condition     = local.partition == "aws-cn" && startswith(local.bucket_arns["raw"], "arn:aws-cn:s3:::")
    error_message = "China is another partition."
  }
}

run "overrides_win" {
  command = plan

  variables {
    functions = { marts = { memory_mb = 8192 }, ingest = { timeout_seconds = 600 } }
  }

  assert {
    condition     = local.settings["marts"].memory_mb == 8192 && local.settings["marts"].timeout_seconds == 600 && local.settings["ingest"].timeout_seconds == 600 && local.settings["ingest"].memory_mb == 2048
    error_message = "Only what was given differs."
  }
}

run "every_function_may_run_a_package_in_a_bucket" {
  command = apply

  variables {
    package = { bucket = "releases", key = "tarn.zip", object_version = "1", sha256 = filesha256("main.tf") }
  }

  assert {
    condition     = length(output.functions) == 6
    error_message = "Six functions."
  }
}

run "two_packages_are_refused" {
  command = plan

  variables {
    package = { path = "main.tf", bucket = "releases", key = "tarn.zip" }
  }

  expect_failures = [var.package]
}

run "no_package_is_refused" {
  command = plan

  variables {
    package = {}
  }

  expect_failures = [var.package]
}

run "bad_values_are_refused" {
  command = plan

  variables {
    prefix     = "Tarn"
    region     = "Frankfurt"
    account_id = "42"
    log_level  = "loud"
    functions  = { other = {} }
    ingest     = { concurrency = 1 }
  }

  expect_failures = [var.prefix, var.region, var.account_id, var.log_level, var.functions, var.ingest]
}

run "a_long_prefix_is_refused" {
  command = plan

  variables {
    prefix = "a-prefix-that-is-too-long-for-bucket-names"
  }

  expect_failures = [var.prefix]
}
