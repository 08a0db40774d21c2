output "endpoint" {
  description = "Base URL of the API, without a slash at its end."
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "id" {
  description = "Id of the API, the dimension of its metrics."
  value       = aws_apigatewayv2_api.this.id
}

output "execution_arn" {
  description = "ARN prefix to allow callers execute-api:Invoke: <execution_arn>/$default/<METHOD>/<path>."
  value       = aws_apigatewayv2_api.this.execution_arn
}
