locals {
  names = sort(keys(var.functions))

  # In a search expression, a name with characters other than letters and digits is quoted.
  namespace = "\"${var.metrics_namespace}\""

  widgets = [
    {
      title = "Rows"
      metrics = [
        [{ expression = "SUM(SEARCH('{${local.namespace},Dataset} MetricName=\"RowsReceived\"', 'Sum', 300))", label = "received", id = "received" }],
        [{ expression = "SUM(SEARCH('{${local.namespace},Dataset} MetricName=\"RowsAccepted\"', 'Sum', 300))", label = "accepted", id = "accepted" }],
        [{ expression = "SUM(SEARCH('{${local.namespace},Dataset} MetricName=\"RowsRejected\"', 'Sum', 300))", label = "rejected", id = "rejected" }],
      ]
      stat = "Sum"
    },
    {
      title   = "Rejected rows by dataset"
      metrics = [[{ expression = "SEARCH('{${local.namespace},Dataset} MetricName=\"RowsRejected\"', 'Sum', 300)", id = "rejected" }]]
      stat    = "Sum"
    },
    {
      title   = "Seconds from upload to commit"
      metrics = [[{ expression = "SEARCH('{${local.namespace},Dataset} MetricName=\"IngestLatencySeconds\"', 'p90', 300)", id = "latency" }]]
      stat    = "p90"
    },
    {
      title   = "Age of the newest commit in seconds"
      metrics = [[{ expression = "SEARCH('{${local.namespace},Dataset} MetricName=\"FreshnessSeconds\"', 'Maximum', 3600)", id = "freshness" }]]
      stat    = "Maximum"
    },
    {
      title   = "Quality score by dataset in per cent"
      metrics = [[{ expression = "SEARCH('{${local.namespace},Dataset} MetricName=\"QualityScore\"', 'Minimum', 3600)", id = "score" }]]
      stat    = "Minimum"
    },
    {
      title   = "Messages in dead-letter queues"
      metrics = [for queue in values(local.dead_letter_queues) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue]]
      stat    = "Maximum"
    },
    {
      title   = "Age of the oldest message in seconds"
      metrics = [for queue in values(var.queues) : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue.name]]
      stat    = "Maximum"
    },
    {
      title = "Stream"
      metrics = [
        ["AWS/Kinesis", "IncomingRecords", "StreamName", var.stream_name],
        ["AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", var.stream_name],
        ["AWS/Lambda", "IteratorAge", "FunctionName", var.stream_reader.function_name, { stat = "Maximum", yAxis = "right" }],
      ]
      stat = "Sum"
    },
    {
      title   = "Calls"
      metrics = [for name in local.names : ["AWS/Lambda", "Invocations", "FunctionName", var.functions[name]]]
      stat    = "Sum"
    },
    {
      title   = "Errors"
      metrics = [for name in local.names : ["AWS/Lambda", "Errors", "FunctionName", var.functions[name]]]
      stat    = "Sum"
    },
    {
      title   = "Throttled calls"
      metrics = [for name in local.names : ["AWS/Lambda", "Throttles", "FunctionName", var.functions[name]]]
      stat    = "Sum"
    },
    {
      title   = "Milliseconds of a call (p95)"
      metrics = [for name in local.names : ["AWS/Lambda", "Duration", "FunctionName", var.functions[name]]]
      stat    = "p95"
    },
    {
      title = "HTTP API"
      metrics = [
        ["AWS/ApiGateway", "Count", "ApiId", var.api_id],
        ["AWS/ApiGateway", "4xx", "ApiId", var.api_id],
        ["AWS/ApiGateway", "5xx", "ApiId", var.api_id],
        ["AWS/ApiGateway", "Latency", "ApiId", var.api_id, { stat = "p95", yAxis = "right" }],
      ]
      stat = "Sum"
    },
    {
      title = "Ledger"
      metrics = [
        ["AWS/DynamoDB", "ConsumedReadCapacityUnits", "TableName", var.ledger_name],
        ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", var.ledger_name],
        ["AWS/DynamoDB", "ThrottledRequests", "TableName", var.ledger_name],
      ]
      stat = "Sum"
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.prefix
  dashboard_body = jsonencode({
    widgets = [
      for index, widget in local.widgets : {
        type   = "metric"
        x      = 12 * (index % 2)
        y      = 6 * floor(index / 2)
        width  = 12
        height = 6
        properties = {
          title   = widget.title
          region  = var.region
          metrics = widget.metrics
          stat    = widget.stat
          period  = 300
          view    = "timeSeries"
        }
      }
    ]
  })
}
