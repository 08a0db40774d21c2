mock_provider "aws" {}

variables {
  name    = "tarn-test-ledger"
  key_arn = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

run "restorable_encrypted_protected" {
  command = plan

  assert {
    condition = (
      aws_dynamodb_table.this.deletion_protection_enabled
      && one(aws_dynamodb_table.this.point_in_time_recovery).enabled
      && one(aws_dynamodb_table.this.server_side_encryption).kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/test"
      && one(aws_dynamodb_table.this.ttl).attribute_name == "expires_at"
      && aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    )
    error_message = "The table must have the given settings."
  }
}

run "the_keys_are_pk_and_sk" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this.hash_key == "pk" && aws_dynamodb_table.this.range_key == "sk"
    error_message = "The functions read and write these."
  }
}

run "a_short_name_is_refused" {
  command = plan

  variables {
    name = "a"
  }

  expect_failures = [var.name]
}
