module "lake" {
  source = "../../terraform/modules/lake"

  prefix       = var.prefix
  region       = var.region
  account_id   = var.account_id
  package      = var.package
  architecture = var.architecture
  log_level    = var.log_level
  protected    = false

  # One shard keeps the emulator's pace predictable, and nobody wants to wait for a trial.
  stream = { shards = 1, batch_seconds = 1 }

  # Everything that the other environments have is built here too, so that it is tried.
  trust_conditions = { lambda = true, glue = true }

  budget = { monthly_usd = 10 }
  alarms = {
    emails    = ["alarms@example.com"]
    freshness = { web_requests = 86400, ad_events = 86400, orders = 86400 }
    quality   = ["web_requests", "ad_events", "orders"]
  }
  personas = {
    engineer = ["arn:aws:iam::${var.account_id}:root"]
    analyst  = ["arn:aws:iam::${var.account_id}:root"]
    marketer = ["arn:aws:iam::${var.account_id}:root"]
  }
}
