mock_provider "aws" {}

override_resource {
  target          = aws_iam_role.this
  override_during = plan
  values          = { arn = "arn:aws:iam::123456789012:role/tarn-test-tasks" }
}

variables {
  name       = "tarn-test-tasks"
  group_arn  = "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/tarn-test-tasks"
  account_id = "123456789012"
  key_arn    = "arn:aws:kms:eu-central-1:123456789012:key/test"
  key        = { arns = "arn:aws:kms:eu-central-1:123456789012:key/*", alias = "alias/tarn-test-operations" }
  tasks = {
    marts = {
      function_arn    = "arn:aws:lambda:eu-central-1:123456789012:function:tarn-test-marts"
      expression      = "rate(6 hours)"
      dead_letter_arn = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-task-marts-dlq"
    }
  }
}

run "a_task_calls_its_function_and_keeps_what_failed" {
  command = plan

  assert {
    condition     = jsondecode(one(aws_scheduler_schedule.this["marts"].target).input) == { task = "marts" }
    error_message = "The function gets the task's name."
  }

  assert {
    condition     = one(one(aws_scheduler_schedule.this["marts"].target).dead_letter_config).arn == "arn:aws:sqs:eu-central-1:123456789012:tarn-test-task-marts-dlq"
    error_message = "What cannot be delivered is kept."
  }

  assert {
    condition     = aws_scheduler_schedule.this["marts"].state == "ENABLED"
    error_message = "It runs."
  }
}

run "the_role_is_for_this_group_alone" {
  command = plan

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == var.group_arn
    error_message = "Only the scheduler, only for this group."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[0].Resource == [var.tasks["marts"].function_arn]
    error_message = "Only the functions of the tasks."
  }
}

run "the_condition_can_be_left_out" {
  command = plan

  variables {
    trust_source_account = false
  }

  assert {
    condition     = !can(jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition)
    error_message = "Where it should be in the way."
  }
}

run "tasks_can_be_switched_off" {
  command = plan

  variables {
    enabled = false
  }

  assert {
    condition     = aws_scheduler_schedule.this["marts"].state == "DISABLED"
    error_message = "Nothing runs."
  }
}

run "another_expression_is_refused" {
  command = plan

  variables {
    tasks = {
      marts = {
        function_arn    = "arn:aws:lambda:eu-central-1:123456789012:function:tarn-test-marts"
        expression      = "every day"
        dead_letter_arn = "arn:aws:sqs:eu-central-1:123456789012:tarn-test-task-marts-dlq"
      }
    }
  }

  expect_failures = [var.tasks]
}
