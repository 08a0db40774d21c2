# The secret's value is not set here: the program creates it when it first needs it, so it is never in a
# Terraform state. Only roles say who may read it.
resource "aws_secretsmanager_secret" "this" {
  name                    = var.name
  description             = var.description
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.recovery_window_days
}
