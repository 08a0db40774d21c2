"""Policies: requests over the loopback interface count as encrypted.

The emulator speaks plain HTTP, and with authentication a policy that requires TLS would refuse every
request. The tests of the Terraform plan check that such policies exist.
"""

from ministack import app
from ministack.core import iam_evaluator


def close():
    def pin_request_origin(source_ip, _secure_transport):
        iam_evaluator.pin_request_origin(source_ip, True)

    app.pin_request_origin = pin_request_origin
