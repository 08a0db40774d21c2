output "name" {
  description = "Name of the function, available once its role has its permissions."
  value       = aws_lambda_function.this.function_name

  depends_on = [aws_iam_role_policy.this]
}

output "role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.this.arn
}
