mock_provider "aws" {}

variables {
  name                = "tarn-test-api"
  function_name       = "tarn-test-api"
  function_invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:tarn-test-api/invocations"
  log_key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/test"
}

override_resource {
  target = aws_cloudwatch_log_group.access
  values = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/apigateway/tarn-test-api" }
}

override_resource {
  target = aws_apigatewayv2_api.this
  values = { execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:abcdef" }
}

run "signed_requests_by_default" {
  command = plan

  assert {
    condition     = aws_apigatewayv2_route.default.authorization_type == "AWS_IAM" && length(aws_apigatewayv2_authorizer.this) == 0
    error_message = "Every route but health needs a signature."
  }

  assert {
    condition     = aws_apigatewayv2_route.health.authorization_type == "NONE" && aws_apigatewayv2_route.health.route_key == "GET /health"
    error_message = "Health is open."
  }
}

run "tokens_where_an_issuer_is_given" {
  command = apply

  variables {
    authorization = { type = "JWT", issuer = "https://login.example.com/", audience = ["tarn"], scopes = ["lake/read"] }
  }

  assert {
    condition     = aws_apigatewayv2_route.default.authorization_type == "JWT" && aws_apigatewayv2_route.default.authorizer_id == aws_apigatewayv2_authorizer.this[0].id
    error_message = "Every route but health needs a token."
  }

  assert {
    condition     = tolist(aws_apigatewayv2_route.default.authorization_scopes) == tolist(["lake/read"])
    error_message = "And the scope."
  }

  assert {
    condition     = aws_lambda_permission.this.source_arn == "arn:aws:execute-api:eu-central-1:123456789012:abcdef/*/*"
    error_message = "Only this API calls the function."
  }
}

run "throttled_and_logged" {
  command = plan

  assert {
    condition     = one(aws_apigatewayv2_stage.this.default_route_settings).throttling_rate_limit == 20
    error_message = "20 requests per second."
  }

  assert {
    condition     = !strcontains(one(aws_apigatewayv2_stage.this.access_log_settings).format, "authorization")
    error_message = "No tokens in the log."
  }
}

run "an_open_api_is_refused" {
  command = plan

  variables {
    authorization = { type = "NONE" }
  }

  expect_failures = [var.authorization]
}

run "a_token_without_an_audience_is_refused" {
  command = plan

  variables {
    authorization = { type = "JWT", issuer = "https://login.example.com/" }
  }

  expect_failures = [var.authorization]
}

run "an_issuer_over_plain_http_is_refused" {
  command = plan

  variables {
    authorization = { type = "JWT", issuer = "http://login.example.com/", audience = ["tarn"] }
  }

  expect_failures = [var.authorization]
}

run "an_api_that_answers_nothing_is_refused" {
  command = plan

  variables {
    throttle = { rate = 0 }
  }

  expect_failures = [var.throttle]
}
