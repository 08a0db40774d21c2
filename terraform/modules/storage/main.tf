locals {
  zones = toset(["raw", "curated", "analytics", "quarantine", "results"])
}

resource "aws_s3_bucket" "this" {
  for_each = local.zones

  bucket        = var.names[each.key]
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.zones

  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.zones

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.zones

  bucket = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.zones

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    # One data key per bucket and hour instead of one KMS call per object.
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.zones

  bucket = aws_s3_bucket.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [var.bucket_arns[each.key], "${var.bucket_arns[each.key]}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "Tls12OrLater"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [var.bucket_arns[each.key], "${var.bucket_arns[each.key]}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      {
        # A put without the header gets the bucket's key; a put that asks for weaker encryption is refused.
        Sid       = "NoWeakerEncryption"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${var.bucket_arns[each.key]}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        }
      },
    ]
  })

  # S3 refuses two concurrent changes to a bucket's access.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.zones

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "leftovers"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }

    noncurrent_version_expiration {
      noncurrent_days = var.retention.noncurrent_days
    }

    # A delete marker whose versions have all expired.
    dynamic "expiration" {
      for_each = each.key == "results" ? [] : [true]

      content {
        expired_object_delete_marker = true
      }
    }
  }

  dynamic "rule" {
    for_each = each.key == "raw" ? [true] : []

    content {
      id     = "raw-grows-cold"
      status = "Enabled"

      filter {
        prefix = "raw/"
      }

      transition {
        days          = var.retention.raw_infrequent_access_days
        storage_class = "STANDARD_IA"
      }

      transition {
        days          = var.retention.raw_archive_days
        storage_class = "GLACIER_IR"
      }

      dynamic "expiration" {
        for_each = var.retention.raw_days == null ? [] : [var.retention.raw_days]

        content {
          days = expiration.value
        }
      }
    }
  }

  dynamic "rule" {
    for_each = each.key == "results" ? [true] : []

    content {
      id     = "results-expire"
      status = "Enabled"

      # Reports are kept.
      filter {
        prefix = "results/athena/"
      }

      expiration {
        days = var.retention.results_days
      }
    }
  }

  # Rules about versions need versioning.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_notification" "raw" {
  bucket      = aws_s3_bucket.this["raw"].id
  eventbridge = true
}
