resource "aws_sqs_queue" "this" {
  name                      = var.name
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 14 * 24 * 60 * 60

  # Only named queues, or none at all, so that someone else's queue cannot fill this one. Each branch is
  # encoded separately: both branches of a condition have the same type, so `denyAll` would get a null
  # list of queues. SQS does not store that, and an apply would wait for it without success.
  redrive_allow_policy = (
    length(var.source_arns) == 0
    ? jsonencode({ redrivePermission = "denyAll" })
    : jsonencode({ redrivePermission = "byQueue", sourceQueueArns = var.source_arns })
  )
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
          Resource  = var.arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ],
      [
        for index, sender in var.senders : {
          Sid       = "Sender${index}"
          Effect    = "Allow"
          Principal = { Service = sender.service }
          Action    = "sqs:SendMessage"
          Resource  = var.arn
          Condition = { ArnEquals = { "aws:SourceArn" = sender.source_arn } }
        }
      ],
    )
  })
}
