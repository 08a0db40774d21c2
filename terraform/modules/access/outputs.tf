output "role_arns" {
  description = "ARN of the role of each persona that has one."
  value       = { for persona, role in aws_iam_role.this : persona => role.arn }
}
