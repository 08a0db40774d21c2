"""Tests of the start script: python -m unittest discover -s localstack -t localstack."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import botocore.exceptions

from .emulator import START, Emulator, wait_for

ENVIRONMENT = """
def handle(event, context):
    return {"environment": dict(os.environ), "process": os.getpid(), "deadline": context["Lambda-Runtime-Deadline-Ms"]}
"""


def invoke(emulator, name):
    reply = emulator.client("lambda").invoke(FunctionName=name)
    return json.load(reply["Payload"]), reply.get("FunctionError")


class Start(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ["SECRET_OF_THE_CALLER"] = "seen"
        try:
            cls.emulator = Emulator()
        finally:
            del os.environ["SECRET_OF_THE_CALLER"]
        cls.emulator.function("environment", ENVIRONMENT, {"SETTING": "1", "AWS_REGION": "elsewhere"}, timeout=20)

    @classmethod
    def tearDownClass(cls):
        cls.emulator.stop()

    def test_a_function_sees_its_settings_and_nothing_of_the_caller(self):
        answer, _ = invoke(self.emulator, "environment")
        found = answer["environment"]
        self.assertEqual(found["SETTING"], "1")
        self.assertEqual(found["_HANDLER"], "test")
        self.assertEqual(found["AWS_REGION"], "us-east-1", "a reserved name cannot be set")
        self.assertEqual(found["AWS_ENDPOINT_URL"], f"http://127.0.0.1:{self.emulator.port}")
        self.assertNotIn("SECRET_OF_THE_CALLER", found)
        self.assertNotEqual(found["HOME"], os.environ.get("HOME"))
        self.assertTrue(answer["deadline"].isdigit())

    def test_a_killed_function_is_an_error_and_the_next_call_a_new_process(self):
        first = invoke(self.emulator, "environment")[0]["process"]
        self.emulator.function("suicide", "def handle(event, context): os.kill(os.getpid(), 9)")
        _, error = invoke(self.emulator, "suicide")
        self.assertEqual(error, "Unhandled")
        os.kill(first, signal.SIGKILL)
        wait_for("its end", lambda: not pathlib.Path(f"/proc/{first}/exe").exists())
        self.assertNotEqual(invoke(self.emulator, "environment")[0]["process"], first)

    def test_a_function_that_takes_longer_than_its_timeout_is_stopped(self):
        self.emulator.function("slow", "import time\ndef handle(event, context): time.sleep(60)", timeout=1)
        answer, error = invoke(self.emulator, "slow")
        self.assertEqual(error, "Unhandled")
        self.assertIn("timed out after 1", answer["errorMessage"])

    def test_everything_that_is_written_is_in_the_state_folder(self):
        state = self.emulator.folder / "state"
        code = invoke(self.emulator, "environment")[0]["environment"]["LAMBDA_TASK_ROOT"]
        self.assertTrue(pathlib.Path(code).is_relative_to(state), code)
        port = str(self.emulator.port)
        outside = [path for path in pathlib.Path(tempfile.gettempdir()).glob("ministack*") if port in path.name]
        self.assertEqual(outside, [])

    def test_it_listens_on_the_loopback_interface_alone(self):
        listening = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        addresses = [line.split()[1].split(":") for line in listening if line.split()[3] == "0A"]
        own = [address for address, port in addresses if int(port, 16) == self.emulator.port]
        self.assertEqual(own, ["0100007F"])


class Authentication(unittest.TestCase):
    def test_policies_are_enforced_on_demand(self):
        emulator = Emulator(authentication=True)
        try:
            iam = emulator.client("iam")
            iam.create_user(UserName="reader")
            key = iam.create_access_key(UserName="reader")["AccessKey"]
            emulator.client("s3").create_bucket(Bucket="tls")
            # A policy that demands TLS does not keep the owner out.
            deny = {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::tls", "arn:aws:s3:::tls/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
            emulator.client("s3").put_bucket_policy(
                Bucket="tls", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
            )
            allow = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::tls"}
            iam.put_user_policy(
                UserName="reader",
                PolicyName="p",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
            )
            reader = emulator.client("s3", key["AccessKeyId"], key["SecretAccessKey"])
            self.assertEqual(reader.list_objects_v2(Bucket="tls")["KeyCount"], 0)
            with self.assertRaises(botocore.exceptions.ClientError) as refused:
                reader.put_object(Bucket="tls", Key="x", Body=b"")
            self.assertEqual(refused.exception.response["Error"]["Code"], "AccessDenied")
            with self.assertRaises(botocore.exceptions.ClientError):
                emulator.client("s3", key["AccessKeyId"], "forged").list_objects_v2(Bucket="tls")
        finally:
            emulator.stop()


    def test_a_policy_can_name_the_items_that_may_be_put(self):
        emulator = Emulator(authentication=True)
        try:
            iam = emulator.client("iam")
            iam.create_user(UserName="writer")
            key = iam.create_access_key(UserName="writer")["AccessKey"]
            emulator.client("dynamodb").create_table(
                TableName="items",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            allow = {
                "Effect": "Allow",
                "Action": "dynamodb:PutItem",
                "Resource": "*",
                "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mine/*"]}},
            }
            iam.put_user_policy(
                UserName="writer",
                PolicyName="p",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
            )
            writer = emulator.client("dynamodb", key["AccessKeyId"], key["SecretAccessKey"])
            writer.put_item(TableName="items", Item={"pk": {"S": "mine/1"}})
            with self.assertRaises(botocore.exceptions.ClientError) as refused:
                writer.put_item(TableName="items", Item={"pk": {"S": "yours"}})
            self.assertEqual(refused.exception.response["Error"]["Code"], "AccessDeniedException")
        finally:
            emulator.stop()


class EndOfInput(unittest.TestCase):
    def test_it_stops_with_its_functions_when_its_standard_input_ends(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with tempfile.TemporaryDirectory() as state:
            process = subprocess.Popen(
                [sys.executable, str(START), "--stop-with-stdin", "--port", str(port), "--state-dir", state],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            emulator = Emulator.__new__(Emulator)
            emulator.port, emulator.endpoint = port, f"http://127.0.0.1:{port}"
            wait_for("the start", emulator._answers)
            emulator.function("environment", ENVIRONMENT, timeout=20)
            function = invoke(emulator, "environment")[0]["process"]
            process.stdin.close()
            process.wait(timeout=10)
            wait_for("the end of the function", lambda: not pathlib.Path(f"/proc/{function}/exe").exists())
            with self.assertRaises(OSError):
                urllib.request.urlopen(emulator.endpoint, timeout=2)


if __name__ == "__main__":
    unittest.main()
