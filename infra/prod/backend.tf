# The state holds names and no secrets, and is locked by a file next to it. Name the bucket once:
# terraform init -backend-config=bucket=<bucket> -backend-config=region=<its region>
terraform {
  backend "s3" {
    key          = "tarn/prod.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
