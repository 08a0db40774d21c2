provider "aws" {
  region = var.region

  # Credentials of another account are refused before anything is built.
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = merge(var.tags, {
      Project     = "tarn"
      Environment = "prod"
      ManagedBy   = "terraform"
    })
  }
}
