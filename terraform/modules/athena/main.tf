resource "aws_athena_workgroup" "this" {
  name          = var.name
  description   = "Queries of the data lake, with a limit on what each may scan"
  force_destroy = var.force_destroy

  configuration {
    # Settings of the client are ignored.
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.scan_limit_bytes

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = var.results_uri
      expected_bucket_owner = var.account_id

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = var.key_arn
      }
    }
  }
}
