mock_provider "aws" {}

variables {
  name        = "tarn-test-pseudonym-keys"
  description = "Keys of pseudonyms"
  key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "encrypted_and_restorable" {
  command = plan

  assert {
    condition = (
      aws_secretsmanager_secret.this.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/test"
      && aws_secretsmanager_secret.this.recovery_window_in_days == 30
    )
    error_message = "The secret must have the given settings."
  }
}

run "a_name_like_the_end_of_an_arn_is_refused" {
  command = plan

  variables {
    name = "tarn-secret"
  }

  expect_failures = [var.name]
}

run "a_short_window_is_refused" {
  command = plan

  variables {
    recovery_window_days = 3
  }

  expect_failures = [var.recovery_window_days]
}
