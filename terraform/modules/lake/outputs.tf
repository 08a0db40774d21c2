output "api_endpoint" {
  description = "Base URL of the HTTP API."
  value       = module.api.endpoint
}

output "api_execution_arn" {
  description = "ARN prefix to allow callers execute-api:Invoke with IAM authorization."
  value       = module.api.execution_arn
}

output "raw_bucket" {
  description = "Bucket of the raw zone: upload here under raw/<source>/<dataset>/."
  value       = module.storage.buckets["raw"]
}

output "curated_bucket" {
  description = "Bucket of the curated tables."
  value       = module.storage.buckets["curated"]
}

output "analytics_bucket" {
  description = "Bucket of the KPI tables."
  value       = module.storage.buckets["analytics"]
}

output "quarantine_bucket" {
  description = "Bucket of the rejected rows and of the quality summary."
  value       = module.storage.buckets["quarantine"]
}

output "results_bucket" {
  description = "Bucket of query results."
  value       = module.storage.buckets["results"]
}

output "curated_database" {
  description = "Glue database of the curated tables."
  value       = module.catalog.databases["curated"]
}

output "analytics_database" {
  description = "Glue database of the KPI tables."
  value       = module.catalog.databases["analytics"]
}

output "quality_database" {
  description = "Glue database of the quarantine tables."
  value       = module.catalog.databases["quality"]
}

output "ledger_table" {
  description = "DynamoDB table of the ledger."
  value       = module.ledger.name
}

output "pseudonym_secret" {
  description = "ARN of the secret that holds the keys of pseudonyms."
  value       = module.pseudonym_secret.arn
}

output "stream" {
  description = "Kinesis stream of ad events."
  value       = module.stream.name
}

output "ingest_queue_url" {
  description = "Queue of objects to ingest."
  value       = module.ingest_queue.url
}

output "ingest_dlq_url" {
  description = "Dead-letter queue of objects that could not be ingested."
  value       = module.ingest_queue.dead_letter_url
}

output "marts_queue_url" {
  description = "Queue of changed tables, read by the marts."
  value       = module.marts_queue.url
}

output "marts_dlq_url" {
  description = "Dead-letter queue of changed tables for which the marts could not be updated."
  value       = module.marts_queue.dead_letter_url
}

output "archive_dlq_url" {
  description = "Dead-letter queue of stream batches that could not be archived."
  value       = module.stream.dead_letter_url
}

output "task_dlq_urls" {
  description = "Per task (marts, quality, maintain), the dead-letter queue of scheduled calls that failed."
  value       = { for task, queue in module.task_dead_letter : task => queue.url }
}

output "workgroup" {
  description = "Athena workgroup."
  value       = module.athena.workgroup
}

output "region" {
  description = "Region of the lake."
  value       = var.region
}

output "functions" {
  description = "Per function (ingest, archive, marts, quality, maintain, api), its name."
  value       = { for name, function in module.function : name => function.name }
}

output "function_roles" {
  description = "Per function, the ARN of its role."
  value       = { for name, function in module.function : name => function.role_arn }
}

output "alarm_topic_arn" {
  description = "Topic that alarms publish to."
  value       = module.monitoring.topic_arn
}

output "alarms" {
  description = "Names of all alarms."
  value       = module.monitoring.alarms
}

output "dashboard" {
  description = "CloudWatch dashboard."
  value       = module.monitoring.dashboard
}

output "persona_roles" {
  description = "Per persona (engineer, analyst, marketer) that has a role, the ARN of the role."
  value       = module.access.role_arns
}
