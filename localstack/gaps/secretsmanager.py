"""Secrets Manager: a secret without a value has no version, and a token puts only one value.

MiniStack gives a secret that is created without a value, as Terraform does, an empty version; AWS
answers `ResourceNotFoundException` until a value is put. MiniStack replaces a value that is put again
under its `ClientRequestToken`; AWS answers `ResourceExistsException` if the value differs.
"""

import threading

from ministack.core.responses import error_response_json
from ministack.services import secretsmanager

PARTS = ("SecretString", "SecretBinary")


def close():
    store, put = secretsmanager._store_new_secret, secretsmanager._put_secret_value
    lock = threading.Lock()  # calls run on several threads

    def store_without_empty_version(name, *arguments, **options):
        arn, version = store(name, *arguments, **options)
        versions = secretsmanager._secrets[name]["Versions"]
        if all(versions[version][part] is None for part in PARTS):
            del versions[version]
        return arn, version

    def put_once(data):
        with lock:
            _, secret = secretsmanager._resolve(data.get("SecretId"))
            known = (secret or {}).get("Versions", {}).get(data.get("ClientRequestToken"))
            if known and any(known.get(part) != data.get(part) for part in PARTS):
                return error_response_json(
                    "ResourceExistsException",
                    "You can't use ClientRequestToken: a version with this token and another value exists.",
                    400,
                )
            return put(data)

    secretsmanager._store_new_secret = store_without_empty_version
    secretsmanager._put_secret_value = put_once
