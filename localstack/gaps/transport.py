"""Policies: what comes over the loopback interface counts as encrypted on its way.

The emulator speaks plain HTTP, and with authentication a policy that refuses whoever does not use TLS
would refuse everybody. That such policies are there is tested on the Terraform plan.
"""

from ministack import app
from ministack.core import iam_evaluator


def close():
    def pin_request_origin(source_ip, _secure_transport):
        iam_evaluator.pin_request_origin(source_ip, True)

    app.pin_request_origin = pin_request_origin
