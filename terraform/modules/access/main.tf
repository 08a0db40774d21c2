# What people may do. One role per persona; the caller of the module decides who may assume it.
locals {
  objects = {
    raw        = "${var.bucket_arns["raw"]}/raw/*"
    curated    = "${var.bucket_arns["curated"]}/curated/*"
    analytics  = "${var.bucket_arns["analytics"]}/analytics/*"
    quarantine = "${var.bucket_arns["quarantine"]}/quality/*"
  }

  # Athena uses the caller's own permissions: it reads the tables' files and writes the results next
  # to those of the other people in the workgroup.
  queries = [
    {
      Sid    = "RunQueries"
      Effect = "Allow"
      Action = [
        "athena:BatchGetQueryExecution",
        "athena:GetQueryExecution",
        "athena:GetQueryResults",
        "athena:GetQueryResultsStream",
        "athena:GetWorkGroup",
        "athena:ListQueryExecutions",
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
      ]
      Resource = [var.workgroup_arn]
    },
    {
      Sid      = "KeepResults"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      Resource = ["${var.bucket_arns["results"]}/results/athena/*"]
    },
    {
      Sid      = "FindResults"
      Effect   = "Allow"
      Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
      Resource = [var.bucket_arns["results"]]
    },
    {
      Sid      = "UseTheDataKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [var.key.arns]
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = [var.key.alias] }
        StringEquals               = { "kms:ViaService" = ["s3.${var.key.region}.amazonaws.com"] }
      }
    },
  ]

  # Reading tables, per persona: zone of the files and zone of the database.
  tables = {
    engineer = { buckets = ["curated", "analytics", "quarantine"], databases = ["curated", "analytics", "quality"] }
    analyst  = { buckets = ["curated", "analytics"], databases = ["curated", "analytics"] }
    marketer = { buckets = ["analytics"], databases = ["analytics"] }
  }
  reads = {
    for persona, zones in local.tables : persona => [
      {
        Sid      = "ReadTables"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [for zone in zones.buckets : local.objects[zone]]
      },
      {
        Sid      = "FindTables"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
        Resource = [for zone in zones.buckets : var.bucket_arns[zone]]
      },
      {
        Sid      = "ReadCatalog"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase", "glue:GetDatabases", "glue:GetTable", "glue:GetTables"]
        Resource = distinct(flatten([for zone in zones.databases : var.glue_arns[zone]]))
      },
    ]
  }

  operations = [
    {
      Sid      = "UploadAndReplay"
      Effect   = "Allow"
      Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
      Resource = [local.objects.raw]
    },
    {
      Sid      = "FindRawObjects"
      Effect   = "Allow"
      Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"]
      Resource = [var.bucket_arns["raw"]]
    },
    {
      Sid      = "PutEvents"
      Effect   = "Allow"
      Action   = ["kinesis:DescribeStreamSummary", "kinesis:PutRecord", "kinesis:PutRecords"]
      Resource = [var.stream_arn]
    },
    {
      # `tarn redrive archive` re-reads records that the archive could not archive in time, and archives them.
      Sid      = "ReadEventsAgain"
      Effect   = "Allow"
      Action   = ["kinesis:GetRecords", "kinesis:GetShardIterator"]
      Resource = [var.stream_arn]
    },
    {
      # Producers encrypt the stream's records, and readers decrypt them.
      Sid      = "UseTheKeyOfEvents"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [var.key.arns]
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = [var.key.alias] }
        StringEquals               = { "kms:ViaService" = ["kinesis.${var.key.region}.amazonaws.com"] }
      }
    },
    {
      Sid      = "ReadTheLedger"
      Effect   = "Allow"
      Action   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
      Resource = [var.ledger_arn]
    },
    {
      # People's judgements of anomalies; only functions write any other record.
      Sid       = "JudgeAnomalies"
      Effect    = "Allow"
      Action    = ["dynamodb:PutItem"]
      Resource  = [var.ledger_arn]
      Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["feedback"] } }
    },
    {
      Sid      = "MakeReports"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = ["${var.bucket_arns["results"]}/results/reports/*"]
    },
    {
      Sid      = "DecryptTheLedger"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = [var.key.arns]
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:ResourceAliases" = [var.key.alias] }
        StringEquals               = { "kms:ViaService" = ["dynamodb.${var.key.region}.amazonaws.com"] }
      }
    },
    {
      Sid      = "SeeQueues"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = concat(var.queue_arns.work, var.queue_arns.dead_letter)
    },
    {
      Sid      = "TakeDeadLetters"
      Effect   = "Allow"
      Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"]
      Resource = var.queue_arns.dead_letter
    },
    {
      Sid      = "SendThemAgain"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = var.queue_arns.work
    },
    {
      Sid      = "RunTasks"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = var.function_arns
    },
    {
      Sid      = "ReadLogs"
      Effect   = "Allow"
      Action   = ["logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery"]
      Resource = flatten([for arn in var.log_group_arns : [arn, "${arn}:*"]])
    },
  ]

  statements = {
    engineer = jsonencode(concat(local.queries, local.reads.engineer, local.operations))
    analyst  = jsonencode(concat(local.queries, local.reads.analyst))
    marketer = jsonencode(concat(local.queries, local.reads.marketer))
  }

  made = { for persona, principals in var.personas : persona => principals if length(principals) > 0 }
}

resource "aws_iam_role" "this" {
  for_each = local.made

  name                 = "${var.prefix}-${each.key}"
  description          = "What a ${each.key} may do in the data lake"
  max_session_duration = var.session_seconds

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "NamedPrincipals"
        Effect    = "Allow"
        Principal = { AWS = each.value }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.made

  name   = "work"
  role   = aws_iam_role.this[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = jsondecode(local.statements[each.key]) })
}
