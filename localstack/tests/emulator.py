"""An emulator for one test class, clients for it, and small functions to deploy on it."""

import io
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

import botocore.session
from botocore.config import Config

START = pathlib.Path(__file__).parents[1] / "ministack_start.py"
ROLE = "arn:aws:iam::000000000000:role/test"

# The head of every function: the loop of a custom runtime. The function's own text follows and
# defines handle(event, context).
RUNTIME = """#!{python}
import json, os, pathlib, sys, urllib.request
def call(path, body=None):
    url = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/" + path
    return urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=3600)
{text}
while True:
    with call("next") as reply:
        request, event = reply.headers["Lambda-Runtime-Aws-Request-Id"], json.load(reply)
        context = dict(reply.headers)
    try:
        call(request + "/response", json.dumps(handle(event, context)).encode())
    except Exception as error:
        call(request + "/error", json.dumps({{"errorMessage": str(error), "errorType": "Failure"}}).encode())
"""


def package(text):
    """A zip of a function in Python, as for `provided.al2023`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bootstrap", RUNTIME.format(python=sys.executable, text=text))
    return buffer.getvalue()


def wait_for(what, condition, seconds=30):
    """The first true value of `condition()`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Emulator:
    """A running emulator; `fixed=False` starts MiniStack as it is."""

    def __init__(self, fixed=True, authentication=False):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tarn-emulator-test-"))
        self.log = open(self.folder / "log", "wb")
        state = self.folder / "state"
        variables = dict(os.environ)
        command = [sys.executable, str(START), "--port", str(self.port), "--state-dir", str(state)]
        if authentication:
            command.append("--authentication")
        if not fixed:
            command = [sys.executable, "-m", "ministack"]
            variables |= {
                "GATEWAY_PORT": str(self.port),
                "BIND_HOST": "127.0.0.1",
                "TMPDIR": str(self.folder),
                "IOT_MTLS_ENABLED": "0",
                "AWS_ENDPOINT_URL": self.endpoint,
            }
        self.process = subprocess.Popen(command, env=variables, stdout=self.log, stderr=subprocess.STDOUT)
        try:
            wait_for("the start of the emulator", self._answers)
        except AssertionError:
            self.stop()
            raise

    def _answers(self):
        try:
            return urllib.request.urlopen(self.endpoint + "/_ministack/ready", timeout=1).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def client(self, service, key="000000000000", secret="test", token=None):
        return botocore.session.Session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def function(self, name, text, variables=None, timeout=10):
        """Deploys a function and waits until it can be called."""
        functions = self.client("lambda")
        functions.create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="test",
            Role=ROLE,
            Timeout=timeout,
            Environment={"Variables": variables or {}},
            Code={"ZipFile": package(text)},
        )
        wait_for(
            f"function {name}",
            lambda: functions.get_function_configuration(FunctionName=name)["State"] == "Active",
        )

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()
        shutil.rmtree(self.folder)
