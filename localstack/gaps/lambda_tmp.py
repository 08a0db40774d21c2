"""Lambda: every execution environment has its own temporary folder, like its `/tmp` on AWS.

MiniStack starts functions as processes on this machine, which share `/tmp`. Here each gets a new folder
in `TMPDIR`.
"""

import tempfile

from ministack.services import lambda_svc


def close():
    environment = lambda_svc._provided_worker_env

    def environment_with_own_folder(config, code_dir, port):
        folder = tempfile.mkdtemp(prefix=f"{config['FunctionName']}-")
        return environment(config, code_dir, port) | {"TMPDIR": folder}

    lambda_svc._provided_worker_env = environment_with_own_folder
