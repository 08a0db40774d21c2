"""What MiniStack 1.5.33 does differently from AWS where Tarn would notice, one module per service.

Each module's `close()` replaces functions of MiniStack's own modules. Nothing here changes what the
emulator does for a caller who uses no such feature.
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
