output "buckets" {
  description = "Name of each zone's bucket, available once its policy and its encryption exist."
  value       = { for zone, bucket in aws_s3_bucket.this : zone => bucket.id }

  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
