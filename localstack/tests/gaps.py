"""One test per gap. `test_gaps` runs them with the fixes, and expects each to fail without its fix.

Names are unique across the tests, so that all can run on one emulator.
"""

import base64
import concurrent.futures
import json
import pathlib
import re
import time
import unittest
import urllib.parse
import urllib.request
import zlib

import botocore.exceptions
import botocore.session

from .emulator import wait_for

# Fails for the record "poison"; writes what it was called with.
ALL_OR_NOTHING = """
import base64
def handle(event, context):
    data = [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(json.dumps(data) + chr(10))
    if "poison" in data:
        raise ValueError("poison")
"""

# Names the poison in its response.
PARTIAL = """
import base64
def handle(event, context):
    failed = []
    for r in event["Records"]:
        data = base64.b64decode(r["kinesis"]["data"]).decode()
        if data == "poison":
            failed.append({"itemIdentifier": r["kinesis"]["sequenceNumber"]})
            break
        with open(os.environ["CALLS"], "a") as calls:
            calls.write(data + chr(10))
    return {"batchItemFailures": failed}
"""


class Gaps(unittest.TestCase):
    emulator = None  # set by the class that runs these

    def calls(self, name):
        path = pathlib.Path(self.emulator.folder, name)
        return path.read_text().splitlines() if path.exists() else []

    def mapping(self, name, text, **options):
        """A stream of one shard, a function, and a queue for what is given up."""
        streams, queues = self.emulator.client("kinesis"), self.emulator.client("sqs")
        streams.create_stream(StreamName=name, ShardCount=1)
        queue = queues.create_queue(QueueName=name)["QueueUrl"]
        self.emulator.function(name, text, {"CALLS": str(self.emulator.folder / name)})
        self.emulator.client("lambda").create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=streams.describe_stream(StreamName=name)["StreamDescription"]["StreamARN"],
            StartingPosition="TRIM_HORIZON",
            DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:us-east-1:000000000000:{name}"}},
            **options,
        )
        return queue

    def put(self, stream, *payloads):
        records = [{"Data": payload.encode(), "PartitionKey": "one"} for payload in payloads]
        reply = self.emulator.client("kinesis").put_records(StreamName=stream, Records=records)
        return [record["SequenceNumber"] for record in reply["Records"]]

    def given_up(self, queue, seconds=15):
        queues = self.emulator.client("sqs")
        messages = wait_for(
            "a message on the queue for failed batches",
            lambda: queues.receive_message(QueueUrl=queue).get("Messages"),
            seconds,
        )
        return json.loads(messages[0]["Body"])

    def test_a_failed_record_goes_to_the_destination_and_the_records_after_it_are_handled(self):
        queue = self.mapping(
            "partial", PARTIAL, FunctionResponseTypes=["ReportBatchItemFailures"], MaximumRetryAttempts=1,
            BisectBatchOnFunctionError=True,
        )
        numbers = self.put("partial", "a", "b", "poison", "c", "d")
        wait_for("the call for d", lambda: "d" in self.calls("partial"), 15)
        self.assertEqual(sorted(self.calls("partial")), ["a", "b", "c", "d"], "each handled once")
        batch = self.given_up(queue)["KinesisBatchInfo"]
        self.assertEqual((batch["batchSize"], batch["startSequenceNumber"]), (1, numbers[2]))

    def test_a_failed_batch_is_halved_until_the_poison_is_alone(self):
        queue = self.mapping("bisect", ALL_OR_NOTHING, MaximumRetryAttempts=2, BisectBatchOnFunctionError=True)
        numbers = self.put("bisect", "a", "b", "c", "poison", "d")
        batch = self.given_up(queue)
        self.assertEqual(batch["requestContext"]["condition"], "RetryAttemptsExhausted")
        self.assertEqual(batch["KinesisBatchInfo"]["startSequenceNumber"], numbers[3])
        self.assertEqual(self.calls("bisect").count('["poison"]'), 3, "one call and two retries")
        wait_for("the call for d", lambda: '["d"]' in self.calls("bisect"), 15)

    def test_a_batch_is_given_up_after_its_retries(self):
        queue = self.mapping("retries", ALL_OR_NOTHING, MaximumRetryAttempts=1)
        self.put("retries", "a", "poison")
        self.assertEqual(self.given_up(queue)["KinesisBatchInfo"]["batchSize"], 2)
        self.put("retries", "b")
        wait_for("the call for b", lambda: '["b"]' in self.calls("retries"), 15)

    def test_records_within_the_batching_window_are_one_batch(self):
        self.mapping("window", ALL_OR_NOTHING, MaximumBatchingWindowInSeconds=8)
        self.put("window", "a")
        time.sleep(3)  # long enough that a mapping without a window has read "a"
        self.put("window", "b")
        wait_for("the call", lambda: self.calls("window"), 20)
        self.assertEqual(self.calls("window"), ['["a", "b"]'])

    def test_calls_at_the_same_time_have_temporary_folders_of_their_own(self):
        folder = "import tempfile, time\ndef handle(event, context): time.sleep(1); return tempfile.gettempdir()"
        self.emulator.function("folders", folder)
        functions = self.emulator.client("lambda")
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            calls = pool.map(lambda _: functions.invoke(FunctionName="folders")["Payload"].read(), range(3))
            folders = [json.loads(answer) for answer in calls]
        self.assertEqual(len(set(folders)), 3, folders)

    def test_the_health_of_an_api_is_answered_by_its_function(self):
        self.emulator.function("api", "def handle(event, context): return {'from': event['rawPath']}")
        apis = self.emulator.client("apigatewayv2")
        api = apis.create_api(Name="api", ProtocolType="HTTP")["ApiId"]
        integration = apis.create_integration(
            ApiId=api,
            IntegrationType="AWS_PROXY",
            IntegrationUri="arn:aws:lambda:us-east-1:000000000000:function:api",
            PayloadFormatVersion="2.0",
        )["IntegrationId"]
        apis.create_route(ApiId=api, RouteKey="GET /health", Target=f"integrations/{integration}")
        apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        request = urllib.request.Request(
            self.emulator.endpoint + "/health", headers={"Host": f"{api}.execute-api.localhost"}
        )
        with urllib.request.urlopen(request) as reply:
            self.assertEqual(json.load(reply), {"from": "/health"})

    def test_an_alarm_comes_back_as_it_was_put(self):
        alarms = query_client(self.emulator.endpoint)  # the Terraform provider's protocol
        one = {
            "AlarmName": "one",
            "AlarmDescription": "Messages < 1 & more",
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Namespace": "AWS/SQS",
            "Statistic": "Maximum",
            "Dimensions": [{"Name": "QueueName", "Value": "q"}],
            "Period": 60,
            "EvaluationPeriods": 2,
            "DatapointsToAlarm": 1,
            "Threshold": 0.5,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "ActionsEnabled": True,
            "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:t"],
            "OKActions": ["arn:aws:sns:us-east-1:000000000000:t"],
            "InsufficientDataActions": ["arn:aws:sns:us-east-1:000000000000:t"],
        }
        rate = {
            "AlarmName": "rate",
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "Metrics": [
                {"Id": "rate", "Expression": "errors / 2", "Label": "Rate", "ReturnData": True},
                {
                    "Id": "errors",
                    "ReturnData": False,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/Lambda",
                            "MetricName": "Errors",
                            "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
                        },
                        "Period": 300,
                        "Stat": "Sum",
                    },
                },
            ],
        }
        for wanted in (one, rate):
            alarms.put_metric_alarm(**wanted)
            found = alarms.describe_alarms(AlarmNames=[wanted["AlarmName"]])["MetricAlarms"][0]
            self.assertEqual({name: found.get(name) for name in wanted}, wanted)
        self.assertNotIn("MetricName", found)

    def test_a_new_stream_has_the_tags_of_its_request(self):
        streams = self.emulator.client("kinesis")
        streams.create_stream(StreamName="tags", ShardCount=1, Tags={"owner": "shop"})
        self.assertEqual(
            streams.list_tags_for_stream(StreamName="tags")["Tags"], [{"Key": "owner", "Value": "shop"}]
        )

    def test_the_versions_of_a_table_are_listed(self):
        glue = self.emulator.client("glue")
        glue.create_database(DatabaseInput={"Name": "versions"})
        for number, call in enumerate((glue.create_table, glue.update_table, glue.update_table)):
            call(DatabaseName="versions", TableInput={"Name": "t", "Parameters": {"n": str(number)}})
        found = glue.get_table_versions(DatabaseName="versions", TableName="t")["TableVersions"]
        self.assertEqual(
            [(each["VersionId"], each["Table"]["Parameters"]["n"]) for each in found],
            [("3", "2"), ("2", "1"), ("1", "0")],
        )
        one = glue.get_table_version(DatabaseName="versions", TableName="t", VersionId="2")["TableVersion"]
        self.assertEqual(one["Table"]["Parameters"]["n"], "1")
        glue.update_table(DatabaseName="versions", TableInput={"Name": "t"}, SkipArchive=True)
        found = glue.get_table_versions(DatabaseName="versions", TableName="t")["TableVersions"]
        self.assertEqual([each["VersionId"] for each in found], ["4"])

    def test_versions_of_an_odd_key_are_listed_under_that_key(self):
        objects = self.emulator.client("s3")
        objects.create_bucket(Bucket="odd")
        objects.put_bucket_versioning(Bucket="odd", VersioningConfiguration={"Status": "Enabled"})
        key = "a b+c%41/ü & <b>.log"
        objects.put_object(Bucket="odd", Key=key, Body=b"1")
        # As the Terraform provider asks, which decodes whatever comes.
        with urllib.request.urlopen(self.emulator.endpoint + "/odd?versions&encoding-type=url") as reply:
            found = re.search("<Key>(.*)</Key>", reply.read().decode()).group(1)
        self.assertEqual(urllib.parse.unquote_plus(found), key)
        listed = objects.list_object_versions(Bucket="odd", Prefix="a b+c%41/")
        self.assertEqual([each["Key"] for each in listed["Versions"]], [key])
        self.assertEqual(listed["Prefix"], "a b+c%41/")
        self.assertEqual(objects.list_object_versions(Bucket="odd", Prefix="none").get("Versions"), None)

    def test_the_event_of_a_new_object_names_its_version_and_its_key_as_it_is(self):
        objects, queues, events = (self.emulator.client(name) for name in ("s3", "sqs", "events"))
        objects.create_bucket(Bucket="events")
        objects.put_bucket_versioning(Bucket="events", VersioningConfiguration={"Status": "Enabled"})
        objects.put_bucket_notification_configuration(
            Bucket="events", NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        queue = queues.create_queue(QueueName="events")["QueueUrl"]
        events.put_rule(Name="events", EventPattern='{"source":["aws.s3"],"detail":{"bucket":{"name":["events"]}}}')
        events.put_targets(
            Rule="events", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:events"}]
        )
        key = "raw/a b+c%41/ü.log"
        put = objects.put_object(Bucket="events", Key=key, Body=b"1")
        message = wait_for("the event", lambda: queues.receive_message(QueueUrl=queue).get("Messages"))[0]
        event = json.loads(message["Body"])
        self.assertEqual(event["detail-type"], "Object Created")
        found = event["detail"]["object"]
        self.assertEqual((found["key"], found.get("version-id")), (key, put["VersionId"]))
        self.assertTrue(found["sequencer"])

    def begin_upload(self, bucket, **options):
        objects = self.emulator.client("s3")
        objects.create_bucket(Bucket=bucket)
        upload = {"Bucket": bucket, "Key": "k"}
        begun = objects.create_multipart_upload(**upload, **options)
        return objects, upload | {"UploadId": begun["UploadId"]}

    def test_a_part_has_the_checksum_that_its_upload_announced(self):
        for bucket, announced, sent in (
            ("none", {}, {"ChecksumAlgorithm": "CRC32"}),
            ("other", {"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "CRC32"}),
        ):
            objects, upload = self.begin_upload(f"parts-{bucket}", **announced)
            with self.assertRaises(botocore.exceptions.ClientError) as refused:
                objects.upload_part(**upload, PartNumber=1, Body=b"1", **sent)
            self.assertEqual(refused.exception.response["Error"]["Code"], "InvalidRequest")
            self.assertIn("Checksum Type mismatch", str(refused.exception))

    def test_an_upload_with_a_composite_checksum_is_completed_with_those_of_its_parts(self):
        objects, upload = self.begin_upload("composite", ChecksumAlgorithm="CRC32")
        part = objects.upload_part(**upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="CRC32")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        with self.assertRaises(botocore.exceptions.ClientError) as refused:
            objects.complete_multipart_upload(**upload, MultipartUpload=parts)
        self.assertEqual(refused.exception.response["Error"]["Code"], "InvalidRequest")
        parts["Parts"][0]["ChecksumCRC32"] = part["ChecksumCRC32"]
        done = objects.complete_multipart_upload(**upload, MultipartUpload=parts)
        self.assertEqual((done["ChecksumType"], done["ChecksumCRC32"][-2:]), ("COMPOSITE", "-1"))

    def test_an_object_has_the_tags_that_its_upload_began_with(self):
        tags = "Project=tarn&Note=a%20b"
        objects, upload = self.begin_upload("tagged", ChecksumAlgorithm="CRC32", Tagging=tags)
        part = objects.upload_part(**upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="CRC32")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]}]}
        objects.complete_multipart_upload(**upload, MultipartUpload=parts)
        found = objects.get_object_tagging(Bucket="tagged", Key="k")["TagSet"]
        self.assertEqual({tag["Key"]: tag["Value"] for tag in found}, {"Project": "tarn", "Note": "a b"})

    def test_a_checksum_of_the_whole_content_is_that_of_a_put_at_once(self):
        objects, upload = self.begin_upload("whole", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        objects.put_bucket_versioning(Bucket="whole", VersioningConfiguration={"Status": "Enabled"})
        bodies = [b"1" * (5 << 20), b"2"]
        parts = []
        for number, body in enumerate(bodies, 1):
            part = objects.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
            parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})
        done = objects.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        whole = base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()
        self.assertEqual((done["ChecksumType"], done["ChecksumCRC32"]), ("FULL_OBJECT", whole))
        for version in ({}, {"VersionId": done["VersionId"]}):
            read = objects.get_object(Bucket="whole", Key="k", ChecksumMode="ENABLED", **version)
            self.assertEqual((read["ChecksumType"], read["ChecksumCRC32"]), ("FULL_OBJECT", whole))

    def test_a_queue_gives_its_policies_back_without_nulls(self):
        queues = self.emulator.client("sqs")
        allowed = '{"redrivePermission":"denyAll","sourceQueueArns":null}'
        queue = queues.create_queue(QueueName="nulls", Attributes={"RedriveAllowPolicy": allowed})["QueueUrl"]
        names = {"QueueUrl": queue, "AttributeNames": ["RedriveAllowPolicy"]}
        for _ in range(2):
            found = queues.get_queue_attributes(**names)["Attributes"]["RedriveAllowPolicy"]
            self.assertEqual(json.loads(found), {"redrivePermission": "denyAll"})
            queues.set_queue_attributes(QueueUrl=queue, Attributes={"RedriveAllowPolicy": allowed})

    def test_a_secret_without_a_value_has_no_version(self):
        secrets = self.emulator.client("secretsmanager")
        secrets.create_secret(Name="empty")
        with self.assertRaises(secrets.exceptions.ResourceNotFoundException):
            secrets.get_secret_value(SecretId="empty")
        secrets.put_secret_value(SecretId="empty", SecretString="full")
        self.assertEqual(secrets.get_secret_value(SecretId="empty")["SecretString"], "full")

    def test_a_token_puts_one_value_only(self):
        secrets = self.emulator.client("secretsmanager")
        secrets.create_secret(Name="token", SecretString="created")
        put = {"SecretId": "token", "ClientRequestToken": "t" * 32}
        secrets.put_secret_value(**put, SecretString="first")
        secrets.put_secret_value(**put, SecretString="first")  # said again
        with self.assertRaises(secrets.exceptions.ResourceExistsException):
            secrets.put_secret_value(**put, SecretString="second")
        self.assertEqual(secrets.get_secret_value(SecretId="token")["SecretString"], "first")


def query_client(endpoint):
    """A CloudWatch client that speaks the Query protocol, which botocore would not choose."""
    session = botocore.session.Session()
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def load_query(service, kind, *rest, **options):
        model = load(service, kind, *rest, **options)
        if (service, kind) == ("cloudwatch", "service-2"):
            model = model | {"metadata": model["metadata"] | {"protocol": "query", "protocols": ["query"]}}
        return model

    loader.load_service_model = load_query
    return session.create_client(
        "cloudwatch",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="000000000000",
        aws_secret_access_key="test",
    )


class Race(unittest.TestCase):
    """Not among the gaps that must fail without the fix, because the race is only lost sometimes."""

    emulator = None

    def test_of_writers_who_name_the_same_version_one_succeeds(self):
        clients = [self.emulator.client("glue") for _ in range(8)]
        clients[0].create_database(DatabaseInput={"Name": "race"})
        clients[0].create_table(DatabaseName="race", TableInput={"Name": "t"})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for round_ in range(1, 31):
                outcomes = list(pool.map(lambda glue: self.swap(glue, str(round_)), clients))
                self.assertEqual(outcomes.count(True), 1, f"round {round_}")

    @staticmethod
    def swap(glue, version):
        try:
            glue.update_table(DatabaseName="race", TableInput={"Name": "t"}, VersionId=version)
            return True
        except glue.exceptions.ConcurrentModificationException:
            return False
