output "arn" {
  description = "ARN of the key, known after the apply."
  value       = aws_kms_key.this.arn
}

output "alias" {
  description = "Alias of the key with `alias/`, in the form of the condition `kms:ResourceAliases`."
  value       = "alias/${var.alias}"

  # Roles that use the key by its alias depend on the alias.
  depends_on = [aws_kms_alias.this]
}
