locals {
  optimized = {
    for table in var.optimized_tables : table => {
      zone  = split(".", table)[0]
      table = split(".", table)[1]
    }
  }
  zones = toset([for optimized in values(local.optimized) : optimized.zone])
}

resource "aws_glue_catalog_database" "this" {
  for_each = var.databases

  catalog_id   = var.account_id
  name         = each.value.name
  description  = each.value.description
  location_uri = each.value.location
}

# ---- Table optimizers. Only compaction: the function `maintain` expires snapshots and removes
# orphaned files, and two programs that delete would get in each other's way.

resource "aws_iam_role" "optimizer" {
  count = length(local.optimized) == 0 ? 0 : 1

  name        = var.optimizer.role_name
  description = "What Glue's table optimizers may do"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(
        {
          Sid       = "OnlyForThisCatalog"
          Effect    = "Allow"
          Principal = { Service = "glue.amazonaws.com" }
          Action    = "sts:AssumeRole"
        },
        # As with functions, the role is safe without it: iam:PassRole does not reach other accounts.
        var.optimizer.trust_source_account ? {
          Condition = {
            ArnLike      = { "aws:SourceArn" = "${var.optimizer.glue_arn_prefix}*" }
            StringEquals = { "aws:SourceAccount" = var.account_id }
          }
        } : {},
      ),
    ]
  })
}

resource "aws_iam_role_policy" "optimizer" {
  count = length(local.optimized) == 0 ? 0 : 1

  name = "compaction"
  role = aws_iam_role.optimizer[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "RewriteFiles"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = [for optimized in values(local.optimized) : "${var.optimizer.bucket_arns[optimized.zone]}/${optimized.zone}/${optimized.table}/*"]
      },
      {
        Sid      = "ListBuckets"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
        Resource = [for zone in local.zones : var.optimizer.bucket_arns[zone]]
      },
      {
        Sid    = "MoveTheTablePointer"
        Effect = "Allow"
        Action = ["glue:GetTable", "glue:UpdateTable"]
        Resource = concat(
          ["${var.optimizer.glue_arn_prefix}catalog"],
          [for zone in local.zones : "${var.optimizer.glue_arn_prefix}database/${var.databases[zone].name}"],
          [for optimized in values(local.optimized) : "${var.optimizer.glue_arn_prefix}table/${var.databases[optimized.zone].name}/${optimized.table}"],
        )
      },
      {
        Sid      = "UseTheDataKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [var.optimizer.key_arns]
        Condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = [var.optimizer.key_alias] }
          StringEquals               = { "kms:ViaService" = ["s3.${var.optimizer.region}.amazonaws.com"] }
        }
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [var.optimizer.log_group_arn]
      },
    ]
  })
}

resource "aws_glue_catalog_table_optimizer" "this" {
  for_each = local.optimized

  catalog_id    = var.account_id
  database_name = aws_glue_catalog_database.this[each.value.zone].name
  table_name    = each.value.table
  type          = "compaction"

  configuration {
    enabled  = true
    role_arn = aws_iam_role.optimizer[0].arn
  }

  depends_on = [aws_iam_role_policy.optimizer]
}
