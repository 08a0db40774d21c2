output "api_endpoint" {
  description = "Base URL of the HTTP API."
  value       = module.lake.api_endpoint
}

output "api_execution_arn" {
  description = "ARN prefix to allow callers execute-api:Invoke with IAM authorization."
  value       = module.lake.api_execution_arn
}

output "raw_bucket" {
  description = "Bucket of the raw zone: upload here under raw/<source>/<dataset>/."
  value       = module.lake.raw_bucket
}

output "curated_bucket" {
  description = "Bucket of the curated tables."
  value       = module.lake.curated_bucket
}

output "analytics_bucket" {
  description = "Bucket of the KPI tables."
  value       = module.lake.analytics_bucket
}

output "quarantine_bucket" {
  description = "Bucket of the rejected rows and of the quality summary."
  value       = module.lake.quarantine_bucket
}

output "results_bucket" {
  description = "Bucket of query results."
  value       = module.lake.results_bucket
}

output "curated_database" {
  description = "Glue database of the curated tables."
  value       = module.lake.curated_database
}

output "analytics_database" {
  description = "Glue database of the KPI tables."
  value       = module.lake.analytics_database
}

output "quality_database" {
  description = "Glue database of the quarantine tables."
  value       = module.lake.quality_database
}

output "ledger_table" {
  description = "DynamoDB table of the ledger."
  value       = module.lake.ledger_table
}

output "pseudonym_secret" {
  description = "ARN of the secret that holds the keys of pseudonyms."
  value       = module.lake.pseudonym_secret
}

output "stream" {
  description = "Kinesis stream of ad events."
  value       = module.lake.stream
}

output "ingest_queue_url" {
  description = "Queue of objects to ingest."
  value       = module.lake.ingest_queue_url
}

output "ingest_dlq_url" {
  description = "Dead-letter queue of objects that could not be ingested."
  value       = module.lake.ingest_dlq_url
}

output "marts_queue_url" {
  description = "Queue of changed tables, read by the marts."
  value       = module.lake.marts_queue_url
}

output "marts_dlq_url" {
  description = "Dead-letter queue of changed tables for which the marts could not be updated."
  value       = module.lake.marts_dlq_url
}

output "archive_dlq_url" {
  description = "Dead-letter queue of stream batches that could not be archived."
  value       = module.lake.archive_dlq_url
}

output "task_dlq_urls" {
  description = "Per task (marts, quality, maintain), the dead-letter queue of scheduled calls that failed."
  value       = module.lake.task_dlq_urls
}

output "workgroup" {
  description = "Athena workgroup."
  value       = module.lake.workgroup
}

output "region" {
  description = "Region of the lake."
  value       = module.lake.region
}

output "functions" {
  description = "Per function (ingest, archive, marts, quality, maintain, api), its name."
  value       = module.lake.functions
}

output "function_roles" {
  description = "Per function, the ARN of its role."
  value       = module.lake.function_roles
}

output "alarm_topic_arn" {
  description = "Topic that alarms publish to."
  value       = module.lake.alarm_topic_arn
}

output "alarms" {
  description = "Names of all alarms."
  value       = module.lake.alarms
}

output "dashboard" {
  description = "CloudWatch dashboard."
  value       = module.lake.dashboard
}

output "persona_roles" {
  description = "Per persona (engineer, analyst, marketer) that has a role, the ARN of the role."
  value       = module.lake.persona_roles
}
