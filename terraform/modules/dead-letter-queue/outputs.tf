output "url" {
  description = "URL of the queue."
  value       = aws_sqs_queue.this.url
}

output "name" {
  description = "Name of the queue, the dimension of its metrics."
  value       = var.name
}

output "arn" {
  description = "ARN of the queue, available once the queue and its policy exist."
  value       = var.arn

  depends_on = [aws_sqs_queue.this, aws_sqs_queue_policy.this]
}
