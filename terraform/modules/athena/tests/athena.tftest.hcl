mock_provider "aws" {}

variables {
  name        = "tarn-test"
  results_uri = "s3://tarn-test-results/results/athena/"
  account_id  = "123456789012"
  key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "the_workgroup_has_the_last_word" {
  command = plan

  assert {
    condition = (
      one(aws_athena_workgroup.this.configuration).enforce_workgroup_configuration
      && one(aws_athena_workgroup.this.configuration).bytes_scanned_cutoff_per_query == 10737418240
      && one(one(one(aws_athena_workgroup.this.configuration).result_configuration).encryption_configuration).encryption_option == "SSE_KMS"
      && one(one(aws_athena_workgroup.this.configuration).result_configuration).expected_bucket_owner == "123456789012"
    )
    error_message = "Limit, encryption and place of results are not the client's choice."
  }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    name             = "no spaces"
    results_uri      = "tarn-test-results"
    scan_limit_bytes = 1
  }

  expect_failures = [var.name, var.results_uri, var.scan_limit_bytes]
}
