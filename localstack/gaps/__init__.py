"""Fixes for differences between MiniStack 1.5.33 and AWS that affect Tarn, one module per service.

Each module's `close()` replaces functions of MiniStack's own modules. Callers that do not use these
features see no change.
"""

from . import (
    api_gateway,
    cloudwatch,
    dynamodb,
    glue,
    kinesis,
    lambda_kinesis,
    lambda_tmp,
    s3,
    s3_uploads,
    secretsmanager,
    sqs,
    transport,
)

MODULES = (
    api_gateway,
    cloudwatch,
    dynamodb,
    glue,
    kinesis,
    lambda_kinesis,
    lambda_tmp,
    s3,
    s3_uploads,
    secretsmanager,
    sqs,
    transport,
)


def close():
    """Closes every gap."""
    for module in MODULES:
        module.close()
