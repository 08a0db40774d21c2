module "lake" {
  source = "../../terraform/modules/lake"

  prefix       = var.prefix
  region       = var.region
  account_id   = var.account_id
  package      = var.package
  architecture = var.architecture
  log_level    = var.log_level
  protected    = false

  # One shard keeps the emulator's pace predictable.
  stream = { shards = 1 }
}
