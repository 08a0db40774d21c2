//! Errors of AWS as errors of the lake: what was refused, why, and what to do about it.

use std::error::Error as StdError;
use std::fmt::Write;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use tarn_core::{Error, ErrorKind};

/// What the SDK returns where a call fails; one type for every service.
pub(crate) type CallError<E> = SdkError<E, HttpResponse>;

/// Codes of AWS that ask for a slower pace.
const THROTTLING: [&str; 14] = [
    "BandwidthLimitExceeded",
    "KMS.ThrottlingException",
    "KMSThrottlingException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Codes of failures that pass by themselves.
const PASSING: [&str; 11] = [
    "ConditionalRequestConflict",
    "ConcurrentModificationException",
    "FederationSourceRetryableException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceException",
    "OperationTimeoutException",
    "RequestTimeout",
    "ServiceUnavailable",
    "TransactionConflictException",
];

/// Codes of calls whose credentials are not good.
const CREDENTIALS: [&str; 9] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Codes of things that are not there, and should have been made by Terraform.
const NOT_MADE: [&str; 5] = [
    "AWS.SimpleQueueService.NonExistentQueue",
    "EntityNotFoundException",
    "NoSuchBucket",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
];

/// The code of an error that a service answered with.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &CallError<E>) -> Option<&str> {
    error.as_service_error().and_then(|error| error.code())
}

/// The HTTP status of the answer, where there was one.
pub(crate) fn status<E>(error: &CallError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// What a failed call of `action` on `resource` means, after the SDK's own retries.
pub(crate) fn failed<E>(action: &str, resource: &str, error: CallError<E>) -> Error
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    let doing = format!("{action} on {resource}");
    match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or_default();
            let mut answer = match code {
                "" => format!("HTTP status {status}"),
                code => code.to_owned(),
            };
            if let Some(message) = service.err().message().filter(|text| !text.is_empty()) {
                // Writing to a text does not fail.
                write!(answer, ": {message}").unwrap_or_default();
            }
            if let Some(id) = error.request_id() {
                write!(answer, " (request {id})").unwrap_or_default();
            }
            answered(action, resource, status, code, &answer)
        }
        SdkError::TimeoutError(_) => storage(format!(
            "{doing} was not answered in time; check the network, or try again"
        ))
        .retryable(true),
        SdkError::ResponseError(_) => storage(format!(
            "{doing}: the answer did not come from AWS; check the endpoint and any proxy"
        ))
        .with_source(causes(&error))
        .retryable(true),
        SdkError::DispatchFailure(failure) => {
            let retryable = failure.is_io() || failure.is_timeout();
            undelivered(&doing, causes(&error), retryable)
        }
        _ => undelivered(&doing, causes(&error), false),
    }
}

/// The cause of an error in one line, which the SDK's own text leaves out.
fn causes(error: &dyn StdError) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        if !line.is_empty() && texts.last() != Some(&line) {
            texts.push(line);
        }
        cause = error.source();
    }
    texts.join(": ")
}

fn answered(action: &str, resource: &str, status: u16, code: &str, answer: &str) -> Error {
    let doing = format!("{action} on {resource}");
    if THROTTLING.contains(&code) || status == 429 || (status == 503 && code.is_empty()) {
        return storage(format!(
            "{doing} was throttled again and again ({answer}); try again later"
        ))
        .retryable(true);
    }
    if CREDENTIALS.contains(&code) {
        return storage(format!(
            "{doing} was refused because the AWS credentials are not valid ({answer}); renew them, \
             or name others with AWS_PROFILE"
        ));
    }
    if status == 403 || code.starts_with("AccessDenied") {
        return storage(format!(
            "{doing} is not allowed ({answer}); grant the role {action} on {resource} and the use of \
             its encryption key"
        ));
    }
    if NOT_MADE.contains(&code) {
        return storage(format!(
            "{doing} failed because it is not there ({answer}); check its name and the region, or \
             apply the Terraform root that makes it"
        ));
    }
    let retryable = status >= 500 || PASSING.contains(&code);
    storage(format!("{doing} failed ({answer})")).retryable(retryable)
}

fn undelivered(doing: &str, causes: String, retryable: bool) -> Error {
    let lower = causes.to_lowercase();
    let advice = if lower.contains("credential") || lower.contains("identity") {
        "there are no usable AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or run with a role"
    } else if lower.contains("region") {
        "no region is set; set AWS_REGION"
    } else {
        "the service was not reached; check the network, the region, and AWS_ENDPOINT_URL where an \
         emulator is used"
    };
    storage(format!("{doing} failed: {advice}"))
        .with_source(causes)
        .retryable(retryable)
}

fn storage(message: String) -> Error {
    Error::new(ErrorKind::Storage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_services_say_whether_to_try_again_and_what_to_do() {
        let cases = [
            (503, "SlowDown", true, "throttled"),
            (400, "ThrottlingException", true, "throttled"),
            (
                400,
                "ProvisionedThroughputExceededException",
                true,
                "throttled",
            ),
            (429, "", true, "throttled"),
            (500, "InternalError", true, "failed"),
            (502, "", true, "failed"),
            (400, "InternalServiceException", true, "failed"),
            (400, "OperationTimeoutException", true, "failed"),
            (
                403,
                "AccessDenied",
                false,
                "grant the role s3:GetObject on s3://b/k",
            ),
            (
                400,
                "AccessDeniedException",
                false,
                "grant the role s3:GetObject on s3://b/k",
            ),
            (403, "InvalidAccessKeyId", false, "credentials"),
            (400, "ExpiredTokenException", false, "credentials"),
            (404, "NoSuchBucket", false, "Terraform"),
            (400, "ResourceNotFoundException", false, "Terraform"),
            (400, "ValidationException", false, "failed"),
        ];
        for (status, code, retryable, part) in cases {
            let error = answered("s3:GetObject", "s3://b/k", status, code, "answer");
            let text = error.to_string();
            assert_eq!(error.is_retryable(), retryable, "{status} {code}: {text}");
            assert_eq!(error.kind(), ErrorKind::Storage);
            assert!(text.contains(part), "{status} {code}: {text}");
            assert!(text.contains("s3:GetObject on s3://b/k"), "{text}");
        }
    }

    #[test]
    fn what_never_reached_a_service_says_what_is_missing() {
        let cases = [
            (
                "the credential provider was not enabled",
                "AWS_ACCESS_KEY_ID",
            ),
            (
                "A region must be set when sending requests",
                "set AWS_REGION",
            ),
            ("tcp connect error: Connection refused", "AWS_ENDPOINT_URL"),
        ];
        for (cause, part) in cases {
            let text = undelivered("sqs:SendMessage on q", cause.to_owned(), false).to_string();
            assert!(text.contains(part) && text.contains(cause), "{text}");
        }
    }
}
