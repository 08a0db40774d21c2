locals {
  arn             = "${var.arn_prefix}${var.name}"
  dead_letter_arn = "${local.arn}-dlq"
}

module "dead_letter" {
  source = "../dead-letter-queue"

  name        = "${var.name}-dlq"
  arn         = local.dead_letter_arn
  source_arns = [local.arn]
  senders     = var.senders
}

resource "aws_sqs_queue" "this" {
  name                      = var.name
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 14 * 24 * 60 * 60
  receive_wait_time_seconds = 20

  # Six times the function's timeout and the time to collect a batch, as AWS advises: a batch that is
  # throttled or still being processed is not delivered a second time.
  visibility_timeout_seconds = 6 * var.consumer_timeout_seconds + var.batch_seconds

  redrive_policy = jsonencode({
    deadLetterTargetArn = module.dead_letter.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue_policy" "this" {
  queue_url = aws_sqs_queue.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = local.arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ],
      [
        for index, sender in var.senders : {
          Sid       = "Sender${index}"
          Effect    = "Allow"
          Principal = { Service = sender.service }
          Action    = "sqs:SendMessage"
          Resource  = local.arn
          Condition = { ArnEquals = { "aws:SourceArn" = sender.source_arn } }
        }
      ],
    )
  })
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn                   = local.arn
  function_name                      = var.consumer.function_name
  batch_size                         = var.consumer.batch_size
  maximum_batching_window_in_seconds = var.batch_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.consumer.maximum_concurrency
  }

  depends_on = [aws_sqs_queue.this]
}
