output "rule_name" {
  description = "Name of the rule, the dimension of its metrics."
  value       = aws_cloudwatch_event_rule.this.name
}
