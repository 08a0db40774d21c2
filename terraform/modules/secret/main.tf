# The secret's value is no part of this: the program makes it at its first use, so that no state holds
# it. Who may read it is said by the roles alone.
resource "aws_secretsmanager_secret" "this" {
  name                    = var.name
  description             = var.description
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.recovery_window_days
}
