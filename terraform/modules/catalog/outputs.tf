output "databases" {
  description = "Name of each zone's database."
  value       = { for zone, database in aws_glue_catalog_database.this : zone => database.name }
}
