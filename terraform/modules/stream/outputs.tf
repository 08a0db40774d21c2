output "name" {
  description = "Name of the stream."
  value       = aws_kinesis_stream.this.name
}

output "dead_letter_name" {
  description = "Name of the dead-letter queue for batches that could not be archived."
  value       = module.dead_letter.name
}

output "dead_letter_url" {
  description = "URL of that queue."
  value       = module.dead_letter.url
}
