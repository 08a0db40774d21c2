mock_provider "aws" {}

variables {
  names = {
    raw        = "tarn-test-raw-123456789012"
    curated    = "tarn-test-curated-123456789012"
    analytics  = "tarn-test-analytics-123456789012"
    quarantine = "tarn-test-quarantine-123456789012"
    results    = "tarn-test-results-123456789012"
  }
  bucket_arns = {
    raw        = "arn:aws:s3:::tarn-test-raw-123456789012"
    curated    = "arn:aws:s3:::tarn-test-curated-123456789012"
    analytics  = "arn:aws:s3:::tarn-test-analytics-123456789012"
    quarantine = "arn:aws:s3:::tarn-test-quarantine-123456789012"
    results    = "arn:aws:s3:::tarn-test-results-123456789012"
  }
  key_arn = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "five_buckets_with_everything" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket.this) == 5 && length(aws_s3_bucket_policy.this) == 5
    error_message = "One bucket with its policy per zone."
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : !bucket.force_destroy])
    error_message = "Buckets are protected by default."
  }

  assert {
    condition     = aws_s3_bucket_notification.raw.eventbridge
    error_message = "New raw objects are announced."
  }
}

run "raw_objects_grow_cold_and_stay" {
  command = plan

  assert {
    condition = [
      for transition in one([for rule in aws_s3_bucket_lifecycle_configuration.this["raw"].rule : rule if rule.id == "raw-grows-cold"]).transition : transition.storage_class
    ] == ["STANDARD_IA", "GLACIER_IR"]
    error_message = "Raw objects move to cheaper classes that are read without waiting."
  }

  assert {
    condition     = length(one([for rule in aws_s3_bucket_lifecycle_configuration.this["raw"].rule : rule if rule.id == "raw-grows-cold"]).expiration) == 0
    error_message = "Raw objects are kept for ever by default."
  }
}

run "raw_objects_can_be_deleted_by_age" {
  command = plan

  variables {
    retention = { raw_days = 400 }
  }

  assert {
    condition     = one(one([for rule in aws_s3_bucket_lifecycle_configuration.this["raw"].rule : rule if rule.id == "raw-grows-cold"]).expiration).days == 400
    error_message = "raw_days deletes raw objects."
  }
}

run "only_results_expire_by_themselves" {
  command = plan

  assert {
    condition     = contains([for rule in aws_s3_bucket_lifecycle_configuration.this["results"].rule : rule.id], "results-expire")
    error_message = "Results expire."
  }

  assert {
    condition = alltrue([
      for zone in ["curated", "analytics", "quarantine"] :
      [for rule in aws_s3_bucket_lifecycle_configuration.this[zone].rule : rule.id] == ["leftovers"]
    ])
    error_message = "Live table files never expire by age."
  }
}

run "a_name_with_dots_is_refused" {
  command = plan

  variables {
    names = {
      raw        = "tarn.raw"
      curated    = "tarn-curated"
      analytics  = "tarn-analytics"
      quarantine = "tarn-quarantine"
      results    = "tarn-results"
    }
  }

  expect_failures = [var.names]
}

run "a_missing_arn_is_refused" {
  command = plan

  variables {
    bucket_arns = { raw = "arn:aws:s3:::tarn-test-raw-123456789012" }
  }

  # Whatever depends on the missing ones fails too; the variable's message explains it.
  expect_failures = [var.bucket_arns]
}

run "early_cold_storage_is_refused" {
  command = plan

  variables {
    retention = { raw_infrequent_access_days = 10 }
  }

  expect_failures = [var.retention]
}

run "deletion_before_the_archive_is_refused" {
  command = plan

  variables {
    retention = { raw_days = 60 }
  }

  expect_failures = [var.retention]
}
