output "role_arns" {
  description = "ARN of each persona's role that was made."
  value       = { for persona, role in aws_iam_role.this : persona => role.arn }
}
