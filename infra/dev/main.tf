module "lake" {
  source = "../../terraform/modules/lake"

  prefix                  = var.prefix
  region                  = var.region
  account_id              = var.account_id
  package                 = var.package
  architecture            = var.architecture
  functions               = var.functions
  ingest                  = var.ingest
  stream                  = var.stream
  api                     = var.api
  athena_scan_limit_bytes = var.athena_scan_limit_bytes
  schedule                = var.schedule
  retention               = var.retention
  optimized_tables        = var.optimized_tables
  log_level               = var.log_level
  trust_conditions        = var.trust_conditions
  protected               = var.protected
  alarms                  = var.alarms
  budget                  = var.budget
  personas                = var.personas
}
