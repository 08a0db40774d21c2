# What each function may do, as statements of its role. Resources are the zones' key prefixes, tables
# of the zones' databases, and the queues and the stream by name.
locals {
  # The files of each zone: bucket and first part of the key.
  object_arns = {
    raw        = "${local.bucket_arns["raw"]}/raw/*"
    curated    = "${local.bucket_arns["curated"]}/curated/*"
    analytics  = "${local.bucket_arns["analytics"]}/analytics/*"
    quarantine = "${local.bucket_arns["quarantine"]}/quality/*"
    results    = "${local.bucket_arns["results"]}/results/*"
  }

  read_objects  = ["s3:GetObject"]
  write_objects = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]

  # Glue checks the catalog, the database and the table for each call.
  glue_arns = {
    for zone, database in local.databases : zone => [
      "${local.glue_arn_prefix}catalog",
      "${local.glue_arn_prefix}database/${database}",
      "${local.glue_arn_prefix}table/${database}/*",
    ]
  }
  read_catalog  = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables"]
  write_catalog = ["glue:CreateTable", "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:UpdateTable"]

  read_ledger  = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
  write_ledger = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]

  consume = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]

  # Per function: the services through which it may use the data key, and whether it only reads.
  data_key_use = {
    ingest   = { services = ["s3", "dynamodb", "secretsmanager"], actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
    archive  = { services = ["s3", "kinesis"], actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
    marts    = { services = ["s3", "dynamodb"], actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
    quality  = { services = ["s3", "dynamodb"], actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
    maintain = { services = ["s3", "dynamodb"], actions = ["kms:Decrypt", "kms:GenerateDataKey"] }
    api      = { services = ["s3", "dynamodb"], actions = ["kms:Decrypt"] }
  }
  key_statements = {
    for name, use in local.data_key_use : name => [
      {
        sid       = "UseTheDataKey"
        actions   = use.actions
        resources = [local.key_arns]
        condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = ["alias/${local.data_alias}"] }
          StringEquals               = { "kms:ViaService" = [for service in use.services : "${service}.${var.region}.amazonaws.com"] }
        }
      },
      {
        sid       = "ReadItsOwnSettings"
        actions   = ["kms:Decrypt"]
        resources = [local.key_arns]
        condition = {
          "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = ["alias/${local.operations_alias}"] }
        }
      },
    ]
  }

  # The scheduler calls asynchronously; Lambda uses the function's own permissions to keep calls that
  # failed at every attempt.
  dead_letter_statements = {
    for name, function in local.functions : name => function.dead_letter_arn == null ? [] : [
      {
        sid       = "KeepWhatFailed"
        actions   = ["sqs:SendMessage"]
        resources = [function.dead_letter_arn]
        condition = {}
      },
    ]
  }

  work = {
    ingest = [
      {
        sid       = "ReadRaw"
        actions   = ["s3:GetObject", "s3:GetObjectVersion"]
        resources = [local.object_arns.raw]
        condition = {}
      },
      {
        sid       = "ListRaw"
        actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
        resources = [local.bucket_arns["raw"]]
        condition = {}
      },
      {
        sid       = "WriteTables"
        actions   = local.write_objects
        resources = [local.object_arns.curated, local.object_arns.quarantine]
        condition = {}
      },
      {
        sid       = "ListTables"
        actions   = ["s3:ListBucket"]
        resources = [local.bucket_arns["curated"], local.bucket_arns["quarantine"]]
        condition = {}
      },
      {
        sid       = "Commit"
        actions   = local.write_catalog
        resources = distinct(concat(local.glue_arns.curated, local.glue_arns.quality))
        condition = {}
      },
      {
        sid       = "KeepTheLedger"
        actions   = local.write_ledger
        resources = [local.ledger_arn]
        condition = {}
      },
      {
        # The first run that needs a key makes the first one; people make further ones.
        sid       = "ReadThePseudonymKeys"
        actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
        resources = [local.pseudonym_secret_arn]
        condition = {}
      },
      {
        sid       = "TakeMessages"
        actions   = local.consume
        resources = ["${local.queue_arn_prefix}${local.ingest_queue}"]
        condition = {}
      },
      {
        sid       = "AnnounceChanges"
        actions   = ["sqs:SendMessage"]
        resources = ["${local.queue_arn_prefix}${local.marts_queue}"]
        condition = {}
      },
    ]

    archive = [
      {
        # Reading serves to check what was put, and what a lost reply may have left.
        sid       = "WriteRaw"
        actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        resources = [local.object_arns.raw]
        condition = {}
      },
      {
        # Without the first, S3 answers a request for a missing object with 403 instead of 404; versions
        # give the order of two puts of one key.
        sid       = "ListRaw"
        actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
        resources = [local.bucket_arns["raw"]]
        condition = {}
      },
      {
        sid       = "TakeRecords"
        actions   = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        resources = [local.stream_arn]
        condition = {}
      },
      {
        sid       = "TellOfLostBatches"
        actions   = ["sqs:SendMessage"]
        resources = ["${local.queue_arn_prefix}${local.archive_dlq}"]
        condition = {}
      },
    ]

    marts = [
      {
        sid       = "ReadCurated"
        actions   = local.read_objects
        resources = [local.object_arns.curated]
        condition = {}
      },
      {
        sid       = "WriteAnalytics"
        actions   = local.write_objects
        resources = [local.object_arns.analytics]
        condition = {}
      },
      {
        sid       = "ListTables"
        actions   = ["s3:ListBucket"]
        resources = [local.bucket_arns["curated"], local.bucket_arns["analytics"]]
        condition = {}
      },
      {
        sid       = "ReadCuratedCatalog"
        actions   = local.read_catalog
        resources = local.glue_arns.curated
        condition = {}
      },
      {
        sid       = "Commit"
        actions   = local.write_catalog
        resources = local.glue_arns.analytics
        condition = {}
      },
      {
        sid       = "KeepTheLedger"
        actions   = local.write_ledger
        resources = [local.ledger_arn]
        condition = {}
      },
      {
        sid       = "TakeMessages"
        actions   = local.consume
        resources = ["${local.queue_arn_prefix}${local.marts_queue}"]
        condition = {}
      },
    ]

    quality = [
      {
        sid       = "ReadTheLedger"
        actions   = local.read_ledger
        resources = [local.ledger_arn]
        condition = {}
      },
      {
        # When the age of a dataset without commits began to count.
        sid       = "NoteWhatIsWatched"
        actions   = ["dynamodb:PutItem"]
        resources = [local.ledger_arn]
        condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["state#watched/*"] } }
      },
      {
        # Reports show reasons of rejected rows from the quarantine.
        sid       = "ReadRejectedRows"
        actions   = local.read_objects
        resources = [local.object_arns.quarantine]
        condition = {}
      },
      {
        sid       = "WriteTheSummary"
        actions   = ["s3:PutObject"]
        resources = ["${local.bucket_arns["quarantine"]}/quality/summary.json"]
        condition = {}
      },
      {
        sid       = "WriteResults"
        actions   = local.write_objects
        resources = ["${local.bucket_arns["quarantine"]}/quality/results/*"]
        condition = {}
      },
      {
        sid       = "WriteReports"
        actions   = ["s3:GetObject", "s3:PutObject"]
        resources = ["${local.bucket_arns["results"]}/results/reports/*"]
        condition = {}
      },
      {
        sid       = "ListResults"
        actions   = ["s3:ListBucket"]
        resources = [local.bucket_arns["quarantine"], local.bucket_arns["results"]]
        condition = {}
      },
      {
        sid       = "ReadCatalog"
        actions   = local.read_catalog
        resources = local.glue_arns.quality
        condition = {}
      },
      {
        sid     = "Commit"
        actions = ["glue:CreateTable", "glue:UpdateTable"]
        resources = [
          "${local.glue_arn_prefix}catalog",
          "${local.glue_arn_prefix}database/${local.databases.quality}",
          "${local.glue_arn_prefix}table/${local.databases.quality}/results",
        ]
        condition = {}
      },
    ]

    maintain = [
      {
        sid       = "ExpireFiles"
        actions   = local.write_objects
        resources = [local.object_arns.curated, local.object_arns.analytics, local.object_arns.quarantine]
        condition = {}
      },
      {
        sid       = "ListTables"
        actions   = ["s3:ListBucket"]
        resources = [local.bucket_arns["curated"], local.bucket_arns["analytics"], local.bucket_arns["quarantine"]]
        condition = {}
      },
      {
        sid       = "Commit"
        actions   = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:UpdateTable"]
        resources = distinct(concat(local.glue_arns.curated, local.glue_arns.analytics, local.glue_arns.quality))
        condition = {}
      },
      {
        sid       = "KeepTheLedger"
        actions   = local.write_ledger
        resources = [local.ledger_arn]
        condition = {}
      },
    ]

    api = [
      {
        sid       = "ReadObjects"
        actions   = local.read_objects
        resources = [local.object_arns.curated, local.object_arns.analytics, local.object_arns.quarantine]
        condition = {}
      },
      {
        sid       = "ReadRaw"
        actions   = ["s3:GetObject", "s3:GetObjectVersion"]
        resources = [local.object_arns.raw]
        condition = {}
      },
      {
        sid       = "ListRaw"
        actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
        resources = [local.bucket_arns["raw"]]
        condition = {}
      },
      {
        sid       = "ListBuckets"
        actions   = ["s3:ListBucket"]
        resources = [local.bucket_arns["curated"], local.bucket_arns["analytics"], local.bucket_arns["quarantine"]]
        condition = {}
      },
      {
        sid       = "ReadCatalog"
        actions   = local.read_catalog
        resources = distinct(concat(local.glue_arns.curated, local.glue_arns.analytics, local.glue_arns.quality))
        condition = {}
      },
      {
        sid       = "ReadTheLedger"
        actions   = local.read_ledger
        resources = [local.ledger_arn]
        condition = {}
      },
    ]
  }

  statements = {
    for name in keys(local.functions) : name =>
    concat(local.work[name], local.dead_letter_statements[name], local.key_statements[name])
  }
}
