output "arn" {
  description = "ARN of the key, known after the apply."
  value       = aws_kms_key.this.arn
}

output "alias" {
  description = "Alias of the key with `alias/`, as the condition `kms:ResourceAliases` wants it."
  value       = "alias/${var.alias}"

  # Whoever may use the key by its alias needs the alias.
  depends_on = [aws_kms_alias.this]
}
