module "lake" {
  source = "../../terraform/modules/lake"

  prefix       = var.prefix
  region       = var.region
  account_id   = var.account_id
  package      = var.package
  architecture = var.architecture
  log_level    = var.log_level
  protected    = false

  # One shard keeps the emulator's pace predictable, and short batches keep a trial fast.
  stream = { shards = 1, batch_seconds = 1 }

  # Everything in the other environments is built here too, so that it is tested.
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
