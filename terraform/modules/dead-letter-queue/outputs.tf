output "url" {
  description = "URL of the queue."
  value       = aws_sqs_queue.this.url
}

output "name" {
  description = "Name of the queue, the dimension of its metrics."
  value       = var.name
}

output "arn" {
  description = "ARN of the queue, once it is there with its policy."
  value       = var.arn

  depends_on = [aws_sqs_queue.this, aws_sqs_queue_policy.this]
}
