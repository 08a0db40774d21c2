resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "What the scheduler may do for the group ${var.name}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(
        {
          Sid       = "OnlyThisGroup"
          Effect    = "Allow"
          Principal = { Service = "scheduler.amazonaws.com" }
          Action    = "sts:AssumeRole"
        },
        # The scheduler names the group, not the schedule.
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        var.trust_source_account ? {
          Condition = {
            ArnEquals    = { "aws:SourceArn" = var.group_arn }
            StringEquals = { "aws:SourceAccount" = var.account_id }
          }
        } : {},
      ),
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "work"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "CallFunctions"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [for task in values(var.tasks) : task.function_arn]
      },
      {
        Sid      = "KeepWhatCannotBeDelivered"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = [for task in values(var.tasks) : task.dead_letter_arn]
      },
      {
        Sid       = "ReadPayloads"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = var.key.arns
        Condition = { "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = [var.key.alias] } }
      },
    ]
  })
}

resource "aws_scheduler_schedule" "this" {
  for_each = var.tasks

  name                         = each.key
  group_name                   = aws_scheduler_schedule_group.this.name
  description                  = "Runs the task ${each.key}"
  schedule_expression          = each.value.expression
  schedule_expression_timezone = "UTC"
  state                        = var.enabled ? "ENABLED" : "DISABLED"
  kms_key_arn                  = var.key_arn

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 5
  }

  target {
    arn      = each.value.function_arn
    role_arn = aws_iam_role.this.arn
    input    = jsonencode({ task = each.key })

    dead_letter_config {
      arn = each.value.dead_letter_arn
    }

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
  }

  # The scheduler immediately checks whether the role has its permissions.
  depends_on = [aws_iam_role_policy.this]
}
