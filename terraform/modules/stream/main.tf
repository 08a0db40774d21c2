locals {
  # A batch is retried until its records have reached half of the stream's retention, at most a day: the
  # other half is left to re-read records that could not be archived.
  maximum_record_age = coalesce(var.consumer.maximum_record_age, min(86400, var.retention_hours * 3600 / 2))
}

resource "aws_kinesis_stream" "this" {
  name             = var.name
  shard_count      = var.shards
  retention_period = var.retention_hours
  encryption_type  = "KMS"
  kms_key_id       = var.key_arn

  stream_mode_details {
    stream_mode = var.shards == null ? "ON_DEMAND" : "PROVISIONED"
  }
}

# Its messages name the shard and the records that could not be archived; the records themselves stay in
# the stream until they expire. The function's role sends the messages.
module "dead_letter" {
  source = "../dead-letter-queue"

  name = var.dead_letter.name
  arn  = var.dead_letter.arn
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn                   = var.arn
  function_name                      = var.consumer.function_name
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.consumer.batch_size
  maximum_batching_window_in_seconds = var.consumer.batch_seconds
  parallelization_factor             = var.consumer.parallelization_factor
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = var.consumer.maximum_retries
  maximum_record_age_in_seconds      = local.maximum_record_age

  destination_config {
    on_failure {
      destination_arn = module.dead_letter.arn
    }
  }

  depends_on = [aws_kinesis_stream.this]
}
