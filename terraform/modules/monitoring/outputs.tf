output "topic_arn" {
  description = "ARN of the topic, available once its policy lets alarms and budgets publish."
  value       = var.topic.arn

  depends_on = [aws_sns_topic.this, aws_sns_topic_policy.this]
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "alarms" {
  description = "Names of all alarms."
  value = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.dead_letters : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.queue_age : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.errors : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.throttles : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.freshness : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.promises : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.anomalies : alarm.alarm_name],
    [
      aws_cloudwatch_metric_alarm.iterator_age.alarm_name,
      aws_cloudwatch_metric_alarm.api_errors.alarm_name,
      aws_cloudwatch_metric_alarm.quality_silent.alarm_name,
    ],
  ))
}
