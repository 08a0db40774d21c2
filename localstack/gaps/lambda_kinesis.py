"""Lambda's event source mapping of a Kinesis stream, with its error handling.

MiniStack repeats a failed batch forever and ignores `ReportBatchItemFailures`,
`BisectBatchOnFunctionError`, `MaximumRetryAttempts`, `MaximumRecordAgeInSeconds`, the on-failure
destination and the batching window; it also reads a stream only between the calls of all functions.
Here each shard has its own thread that reads it in order, as AWS describes:

- A response that names failed records: everything before the lowest of them is done, the rest is
  retried. A name that is not in the batch, or none: the whole batch has failed.
- Bisecting: a failed batch is halved, and each half is tried separately; halving does not count as a retry.
- After `MaximumRetryAttempts` retries, or when the first record is older than
  `MaximumRecordAgeInSeconds`: a description of the batch goes to the destination, and the shard continues.
"""

import base64
import hashlib
import json
import logging
import time

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.concurrency import spawn_background
from ministack.services import kinesis, lambda_svc, sqs

logger = logging.getLogger("lambda")

RETRY_SECONDS = 0.2  # before the first retry; doubled up to
RETRY_SECONDS_MOST = 5.0

_readers = {}  # (mapping, shard) -> Reader


class Reader:
    """The position of the mapping in one shard, and the state of the batch there."""

    def __init__(self, mapping, shard_id, shard, position):
        self.mapping, self.shard_id, self.shard = mapping, shard_id, shard
        self.position = position
        self.ends = []  # where batches end that were cut from larger ones, nearest last
        self.attempts = 0
        self.not_before = 0.0
        self.busy = False

    def batch(self, now):
        """The records to send next; empty if there are none yet."""
        while self.ends and self.ends[-1] <= self.position:
            self.ends.pop()
        size = self.mapping.get("BatchSize", 100)
        end = self.position + size
        if self.ends:
            end = min(end, self.ends[-1])
        records = self.shard["records"][self.position : end]
        window = float(self.mapping.get("MaximumBatchingWindowInSeconds") or 0)
        if records and len(records) < size and not self.ends and self.attempts == 0:
            if now - float(records[0]["ApproximateArrivalTimestamp"]) < window:
                return []
        return records

    def done(self, count):
        """The next `count` records need no further call."""
        self.position += count
        self.attempts = 0
        self.not_before = 0.0

    def failed(self, batch, first_failed, now):
        """The call for `batch` failed from index `first_failed` on. Returns why it is given up, if it is."""
        attempts = self.attempts
        if first_failed:
            self.ends.append(self.position + len(batch))
            self.done(first_failed)
            self.attempts = attempts
            batch = batch[first_failed:]
        oldest = float(batch[0]["ApproximateArrivalTimestamp"])
        age_limit = int(self.mapping.get("MaximumRecordAgeInSeconds") or -1)
        if 0 < age_limit < now - oldest:
            return "RecordAgeExceeded"
        if self.mapping.get("BisectBatchOnFunctionError") and len(batch) > 1:
            self.ends.append(self.position + len(batch))
            self.ends.append(self.position + (len(batch) + 1) // 2)
            self.attempts = 0
            return None
        limit = self.mapping.get("MaximumRetryAttempts")
        if limit is not None and 0 <= int(limit) < self.attempts:
            return "RetryAttemptsExhausted"
        self.not_before = now + min(RETRY_SECONDS * 2 ** min(self.attempts - 1, 10), RETRY_SECONDS_MOST)
        return None


def close():
    lambda_svc._poll_kinesis = poll


def poll():
    """Starts every reader that can be started. Returns whether any was, as MiniStack's poller expects."""
    started = False
    known = set()
    for account, region, mapping in lambda_svc._iter_all_esms():
        tokens = lambda_svc._request_account_id.set(account), lambda_svc._request_region.set(region)
        try:
            for reader, function in _readers_of(mapping):
                known.add((mapping["UUID"], reader.shard_id))
                started = _start(reader, function) or started
        finally:
            lambda_svc._request_account_id.reset(tokens[0])
            lambda_svc._request_region.reset(tokens[1])
    for gone in set(_readers) - known:
        del _readers[gone]
    return started


def _readers_of(mapping):
    """The readers of a mapping's shards, with the function to call; none if it is not ready."""
    try:
        source = parse_arn(mapping.get("EventSourceArn", ""))
    except ArnParseError:
        return
    if source.service != "kinesis":
        return
    function, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    name = lambda_svc._kinesis_stream_name_from_arn_spec(source)
    stream = kinesis._streams.get_scoped(source.account_id, source.region, name or "")
    if function is None or not stream:
        return
    # A mapping that begins at LATEST begins at the end of the shards that it finds; a shard made later
    # by resharding is read from its beginning.
    first_look = not any(uuid == mapping["UUID"] for uuid, _ in _readers)
    for shard_id, shard in stream["shards"].items():
        at_end = first_look and mapping.get("StartingPosition") != "TRIM_HORIZON"
        reader = _readers.get((mapping["UUID"], shard_id))
        if reader is None or reader.shard is not shard:
            reader = Reader(mapping, shard_id, shard, len(shard["records"]) if at_end else 0)
            _readers[mapping["UUID"], shard_id] = reader
        reader.mapping = mapping
        if mapping.get("Enabled", True) and stream["StreamStatus"] == "ACTIVE":
            yield reader, function


def _start(reader, function):
    now = time.time()
    if reader.busy or now < reader.not_before:
        return False
    batch = reader.batch(now)
    if not batch:
        return False
    reader.busy = True
    spawn_background(_run, reader, function, batch, thread_name="tarn-kinesis-mapping")
    return True


def _run(reader, function, batch):
    try:
        _call(reader, function, batch)
    finally:
        reader.busy = False
        lambda_svc._esm_wake.set()


def _call(reader, function, batch):
    mapping = reader.mapping
    records = lambda_svc._apply_filter_criteria([_record(reader, function, each) for each in batch], mapping)
    if not records:
        reader.done(len(batch))
        return
    result = lambda_svc._execute_function(function, {"Records": records})
    reader.attempts += 1
    if result.get("log"):
        logger.info("Kinesis mapping: %s output:\n%s", function["config"]["FunctionName"], result["log"])
    first_failed = _first_failed(mapping, batch, result)
    if first_failed is None:
        mapping["LastProcessingResult"] = "OK"
        reader.done(len(batch))
        return
    mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
    logger.warning("Kinesis mapping: %s fails from record %d of %d on", function["config"]["FunctionName"],
                   first_failed, len(batch))
    attempts = reader.attempts
    condition = reader.failed(batch, first_failed, time.time())
    if condition:
        given_up = batch[first_failed:]
        _to_destination(reader, function, given_up, result, condition, attempts)
        reader.done(len(given_up))


def _first_failed(mapping, batch, result):
    """The index of the first record that failed; None if none did."""
    if result.get("error"):
        return 0
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or []):
        return None
    body = result.get("body")
    if isinstance(body, str):
        try:
            body = json.loads(body) if body else None
        except ValueError:
            return 0
    if body is None or body == {}:
        return None
    failures = body.get("batchItemFailures") if isinstance(body, dict) else [{}]
    if not failures:
        return None
    places = {record["SequenceNumber"]: index for index, record in enumerate(batch)}
    return min((places.get(each.get("itemIdentifier"), 0) for each in failures), default=0)


def _record(reader, function, record):
    data = record["Data"]
    if not isinstance(data, str):
        data = base64.b64encode(bytes(data)).decode()
    arn = reader.mapping["EventSourceArn"]
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": data,
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{reader.shard_id}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": function["config"].get("Role", ""),
        "awsRegion": lambda_svc.get_region(),
        "eventSourceARN": arn,
    }


def _to_destination(reader, function, batch, result, condition, attempts):
    """Sends the description of a batch that is given up; AWS does not send the records."""
    destination = ((reader.mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if not destination:
        return
    queue = sqs._queue_by_arn(destination)
    if queue is None:
        logger.error("Kinesis mapping: there is no queue %s for failed batches", destination)
        return
    now = time.time()
    body = json.dumps(
        {
            "requestContext": {
                "requestId": lambda_svc.new_uuid(),
                "functionArn": function["config"]["FunctionArn"],
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled" if result.get("error") else None,
            },
            "version": "1.0",
            "timestamp": _time(now),
            "KinesisBatchInfo": {
                "shardId": reader.shard_id,
                "startSequenceNumber": batch[0]["SequenceNumber"],
                "endSequenceNumber": batch[-1]["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _time(batch[0]["ApproximateArrivalTimestamp"]),
                "approximateArrivalOfLastRecord": _time(batch[-1]["ApproximateArrivalTimestamp"]),
                "batchSize": len(batch),
                "streamArn": reader.mapping["EventSourceArn"],
            },
        }
    )
    queue["messages"].append(
        {
            "id": lambda_svc.new_uuid(),
            "body": body,
            "md5_body": hashlib.md5(body.encode()).hexdigest(),
            "md5_attrs": "",
            "receipt_handle": None,
            "sent_at": now,
            "visible_at": now,
            "receive_count": 0,
            "first_receive_at": None,
            "message_attributes": {},
            "sys": {"SenderId": lambda_svc.get_account_id(), "SentTimestamp": str(int(now * 1000))},
            "group_id": None,
            "dedup_id": None,
            "dedup_cache_key": None,
            "seq": None,
        }
    )


def _time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(float(seconds)))
