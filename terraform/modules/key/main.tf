locals {
  # The account's administrators, through their IAM policies. The usual `kms:*` is spelled out, so that
  # a new action of KMS is not allowed before someone has read what it does.
  administration = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
  ]

  use = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
  ]

  # In a key policy `*` is the key that the policy belongs to; there is no other way to name it.
  policy = {
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "AccountDecidesByIam"
          Effect    = "Allow"
          Principal = { AWS = var.root_arn }
          Action    = sort(concat(local.administration, local.use))
          Resource  = "*"
        },
      ],
      [
        for statement in var.service_statements : {
          Sid       = statement.sid
          Effect    = "Allow"
          Principal = { Service = statement.service }
          Action    = statement.actions
          Resource  = "*"
          Condition = statement.condition
        }
      ],
    )
  }
}

resource "aws_kms_key" "this" {
  description             = var.description
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_window_days
  policy                  = jsonencode(local.policy)
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.alias}"
  target_key_id = aws_kms_key.this.key_id
}
