mock_provider "aws" {}

variables {
  alias       = "tarn-test-data"
  description = "Test"
  root_arn    = "arn:aws:iam::123456789012:root"
}

run "the_key_rotates_and_has_its_alias" {
  command = plan

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "The key rotates and is not deleted in haste."
  }

  assert {
    condition     = aws_kms_alias.this.name == "alias/tarn-test-data"
    error_message = "Roles find the key by its alias."
  }
}

run "the_policy_names_each_action" {
  command = plan

  assert {
    condition     = alltrue([for action in flatten(jsondecode(aws_kms_key.this.policy).Statement[*].Action) : !strcontains(action, "*")])
    error_message = "No wildcard action."
  }

  assert {
    condition     = contains(jsondecode(aws_kms_key.this.policy).Statement[0].Action, "kms:PutKeyPolicy")
    error_message = "Without kms:PutKeyPolicy the key could never be changed again."
  }
}

run "a_service_has_its_condition" {
  command = plan

  variables {
    service_statements = [{
      sid       = "Alarms"
      service   = "cloudwatch.amazonaws.com"
      actions   = ["kms:Decrypt"]
      condition = { StringEquals = { "aws:SourceAccount" = ["123456789012"] } }
    }]
  }

  assert {
    condition     = jsondecode(aws_kms_key.this.policy).Statement[1].Condition.StringEquals["aws:SourceAccount"] == ["123456789012"]
    error_message = "The condition is in the policy."
  }
}

run "a_service_without_a_condition_is_refused" {
  command = plan

  variables {
    service_statements = [{ sid = "Open", service = "sns.amazonaws.com", actions = ["kms:Decrypt"], condition = {} }]
  }

  expect_failures = [var.service_statements]
}

run "a_wildcard_for_a_service_is_refused" {
  command = plan

  variables {
    service_statements = [{
      sid       = "Wide"
      service   = "sns.amazonaws.com"
      actions   = ["kms:*"]
      condition = { StringEquals = { "aws:SourceAccount" = ["123456789012"] } }
    }]
  }

  expect_failures = [var.service_statements]
}

run "bad_values_are_refused" {
  command = plan

  variables {
    alias                = "aws-data"
    root_arn             = "*"
    deletion_window_days = 3
  }

  expect_failures = [var.alias, var.root_arn, var.deletion_window_days]
}
