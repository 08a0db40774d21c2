mock_provider "aws" {}

variables {
  account_id = "123456789012"
  databases = {
    curated   = { name = "tarn_test_curated", description = "Curated", location = "s3://tarn-test-curated/curated/" }
    analytics = { name = "tarn_test_analytics", description = "Analytics", location = "s3://tarn-test-analytics/analytics/" }
    quality   = { name = "tarn_test_quality", description = "Quality", location = "s3://tarn-test-quarantine/quality/" }
  }
  optimizer = {
    role_name       = "tarn-test-optimizer"
    glue_arn_prefix = "arn:aws:glue:eu-central-1:123456789012:"
    bucket_arns = {
      curated   = "arn:aws:s3:::tarn-test-curated"
      analytics = "arn:aws:s3:::tarn-test-analytics"
      quality   = "arn:aws:s3:::tarn-test-quarantine"
    }
    key_arns      = "arn:aws:kms:eu-central-1:123456789012:key/*"
    key_alias     = "alias/tarn-test-data"
    region        = "eu-central-1"
    log_group_arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws-glue/iceberg-compaction/logs:*"
  }
}

run "without_optimized_tables_there_are_databases_alone" {
  command = plan

  assert {
    condition     = length(aws_glue_catalog_database.this) == 3 && length(aws_glue_catalog_table_optimizer.this) == 0 && length(aws_iam_role.optimizer) == 0
    error_message = "Optimizers come after the tables."
  }
}

run "an_optimizer_is_limited_to_its_tables" {
  command = plan

  variables {
    optimized_tables = ["curated.web_requests"]
  }

  override_resource {
    target          = aws_iam_role.optimizer
    values          = { arn = "arn:aws:iam::123456789012:role/tarn-test-optimizer" }
    override_during = plan
  }

  assert {
    condition     = aws_glue_catalog_table_optimizer.this["curated.web_requests"].type == "compaction"
    error_message = "Only compaction: the functions expire snapshots."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.optimizer[0].policy).Statement[0].Resource == ["arn:aws:s3:::tarn-test-curated/curated/web_requests/*"]
    error_message = "Only the files of the table."
  }

  assert {
    condition     = !can(jsondecode(aws_iam_role.optimizer[0].assume_role_policy).Statement[0].Condition)
    error_message = "Glue may not name the account when an optimizer assumes the role."
  }
}

run "the_trust_can_demand_the_account" {
  command = plan

  variables {
    optimized_tables = ["curated.web_requests"]
    optimizer = {
      role_name            = "tarn-test-optimizer"
      glue_arn_prefix      = "arn:aws:glue:eu-central-1:123456789012:"
      bucket_arns          = { curated = "arn:aws:s3:::tarn-test-curated" }
      key_arns             = "arn:aws:kms:eu-central-1:123456789012:key/*"
      key_alias            = "alias/tarn-test-data"
      region               = "eu-central-1"
      log_group_arn        = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws-glue/iceberg-compaction/logs:*"
      trust_source_account = true
    }
  }

  override_resource {
    target          = aws_iam_role.optimizer
    values          = { arn = "arn:aws:iam::123456789012:role/tarn-test-optimizer" }
    override_during = plan
  }

  assert {
    condition     = jsondecode(aws_iam_role.optimizer[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "Only Glue for this account."
  }
}

run "an_unknown_zone_is_refused" {
  command = plan

  variables {
    optimized_tables = ["raw.web_requests"]
  }

  # The databases have no such zone either.
  expect_failures = [var.optimized_tables]
}
