mock_provider "aws" {}

variables {
  name        = "tarn-test"
  account_id  = "123456789012"
  monthly_usd = 50
  topic_arn   = "arn:aws:sns:eu-central-1:123456789012:tarn-test-alarms"
}

run "spent_and_about_to_be_spent" {
  command = plan

  assert {
    condition     = aws_budgets_budget.this.limit_amount == "50.00" && aws_budgets_budget.this.limit_unit == "USD"
    error_message = "50 dollars a month."
  }

  assert {
    condition     = toset(aws_budgets_budget.this.notification[*].notification_type) == toset(["ACTUAL", "FORECASTED"])
    error_message = "The topic must be notified of both."
  }

  assert {
    condition     = length(aws_budgets_budget.this.cost_filter) == 0
    error_message = "The whole account counts."
  }
}

run "only_tagged_costs_where_a_tag_is_given" {
  command = plan

  variables {
    cost_tag = { key = "Project", value = "tarn" }
  }

  assert {
    condition     = one(aws_budgets_budget.this.cost_filter).values == tolist(["user:Project$tarn"])
    error_message = "The tag in the form of the billing service."
  }
}

run "a_budget_of_nothing_is_refused" {
  command = plan

  variables {
    monthly_usd = 0
  }

  expect_failures = [var.monthly_usd]
}
