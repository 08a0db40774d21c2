locals {
  # AWS has hashes in base64, SHA256SUMS in hexadecimal, and Terraform no function from one to the other:
  # 6 digits are 24 bits are 4 letters. 64 digits are filled up to 66, and the last letter, which is the
  # filling's, is a sign that says so.
  base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  sha256_letters = var.package.sha256 == null ? [] : flatten([
    for start in range(0, 66, 6) : [
      for unit in [262144, 4096, 64, 1] : substr(
        local.base64_alphabet,
        floor(parseint(substr("${var.package.sha256}00", start, 6), 16) / unit) % 64,
        1,
      )
    ]
  ])

  source_code_hash = (
    var.package.path != null ? filebase64sha256(var.package.path)
    : var.package.sha256 != null ? "${substr(join("", local.sha256_letters), 0, 43)}="
    : null
  )

  policy = {
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteOwnLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${var.log_group_arn}:*"]
        },
        {
          # X-Ray has no resources to which these two actions could be limited.
          Sid      = "WriteTraces"
          Effect   = "Allow"
          Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
          Resource = ["*"]
        },
      ],
      [
        for statement in var.statements : merge(
          {
            Sid      = statement.sid
            Effect   = "Allow"
            Action   = statement.actions
            Resource = statement.resources
          },
          length(statement.condition) == 0 ? {} : { Condition = statement.condition },
        )
      ],
    )
  }
}

resource "aws_iam_role" "this" {
  name        = var.name
  description = "What the function ${var.name} may do"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(
        {
          Sid       = "OnlyFunctionsOfThisAccount"
          Effect    = "Allow"
          Principal = { Service = "lambda.amazonaws.com" }
          Action    = "sts:AssumeRole"
        },
        # A role can only be given to a function of its own account (iam:PassRole), so the role is safe
        # without the condition.
        var.trust_source_account ? { Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } } } : {},
      ),
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = "work"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.policy)
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_key_arn
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  runtime                        = "provided.al2023"
  architectures                  = [var.architecture]
  handler                        = var.handler
  filename                       = var.package.path
  s3_bucket                      = var.package.bucket
  s3_key                         = var.package.key
  s3_object_version              = var.package.object_version
  source_code_hash               = local.source_code_hash
  memory_size                    = var.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = var.reserved_concurrency
  kms_key_arn                    = var.environment_key_arn

  ephemeral_storage {
    size = var.disk_mb
  }

  environment {
    variables = var.environment
  }

  # Lambda drops lines that are more detailed than this; if it is unset, more detailed than INFO. The
  # program's own filter is stricter: a line of metrics counts as INFO and must pass whatever the level
  # is.
  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.this.name
    application_log_level = contains(["debug", "trace"], var.log_level) ? upper(var.log_level) : "INFO"
  }

  tracing_config {
    mode = "Active"
  }

  dynamic "dead_letter_config" {
    for_each = var.dead_letter_arn == null ? [] : [var.dead_letter_arn]

    content {
      target_arn = dead_letter_config.value
    }
  }

  # Lambda immediately checks whether the role may send to the dead-letter queue.
  depends_on = [aws_iam_role_policy.this]
}
