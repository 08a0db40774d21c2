"""S3: multipart uploads have the checksums that they announced, and the tags.

MiniStack accepts parts with a checksum that the upload did not announce, completes an upload without the
parts' checksums, and makes every checksum a checksum of checksums. AWS:

- UploadPart with a checksum of another kind than CreateMultipartUpload named, or with one where it named
  none, or, for a composite checksum, without one: `InvalidRequest`, "Checksum Type mismatch occurred".
- CompleteMultipartUpload of an upload with a composite checksum names the checksum of each part;
  otherwise `InvalidRequest`.
- `x-amz-checksum-type: FULL_OBJECT` makes one checksum of the whole content, like a single put.

The tags of CreateMultipartUpload are forgotten; on AWS the completed object has them.
"""

import contextvars
import re
import urllib.parse
import xml.etree.ElementTree

from ministack.services import s3

FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
KIND = "checksum_type"
TAGS = "tags"

_whole = contextvars.ContextVar("the checksum of the content that is being completed", default=None)


def close():
    create, upload, complete = s3._create_multipart_upload, s3._upload_part, s3._complete_multipart_upload
    composite, record = s3._composite_checksum, s3._record_object_version

    def create_with_kind(bucket, key, headers):
        status, answered, body = create(bucket, key, headers)
        if status != 200:
            return status, answered, body
        begun = s3._multipart_uploads[_text(body, "UploadId")]
        algorithm = begun["checksum_algorithm"]
        begun[KIND] = None
        begun[TAGS] = dict(urllib.parse.parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
        if algorithm:
            default = FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE
            begun[KIND] = (headers.get("x-amz-checksum-type") or default).upper()
            if begun[KIND] == FULL_OBJECT and algorithm.startswith("SHA"):
                return s3._error("InvalidRequest", f"The {FULL_OBJECT} type is not for {algorithm}.", 400)
            answered = answered | {"x-amz-checksum-type": begun[KIND]}
        return status, answered, body

    def upload_as_announced(bucket, key, body, query, headers):
        begun = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        if begun:
            announced = (begun["checksum_algorithm"] or "null").lower()
            sent = [alg.lower() for alg in s3._S3_CHECKSUM_HEADERS if headers.get(f"x-amz-checksum-{alg.lower()}")]
            actual = sent[0] if sent else "null"
            if actual != announced and (sent or begun[KIND] == COMPOSITE):
                return s3._error(
                    "InvalidRequest",
                    f"Checksum Type mismatch occurred, expected checksum Type: {announced}, "
                    f"actual checksum Type: {actual}",
                    400,
                )
        return upload(bucket, key, body, query, headers)

    def complete_as_announced(bucket, key, body, query, headers=None):
        begun = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        if not begun or not begun["checksum_algorithm"]:
            return complete(bucket, key, body, query, headers)
        algorithm = begun["checksum_algorithm"]
        if begun[KIND] == COMPOSITE:
            if len(re.findall(rb"<Part>", body)) != len(re.findall(rb"<Checksum\w+>", body)):
                return s3._error(
                    "InvalidRequest",
                    f"The upload was created using a {algorithm.lower()} checksum. The complete request must "
                    "include the checksum for each part.",
                    400,
                )
            return complete(bucket, key, body, query, headers)
        parts = sorted(int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body))
        content = b"".join(begun["parts"][number]["body"] for number in parts if number in begun["parts"])
        token = _whole.set(s3._compute_s3_checksum(algorithm, content))
        try:
            status, answered, reply = complete(bucket, key, body, query, headers)
        finally:
            _whole.reset(token)
        return status, answered, reply.replace(COMPOSITE.encode(), FULL_OBJECT.encode())

    def complete_with_tags(bucket, key, body, query, headers=None):
        begun = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        status, answered, reply = complete_as_announced(bucket, key, body, query, headers)
        if status == 200 and begun and begun[TAGS]:
            version = s3._buckets[bucket]["objects"][key].get("version_id")
            s3._object_tags[(bucket, key, version)] = begun[TAGS]
        return status, answered, reply

    def of_the_whole(algorithm, parts):
        return _whole.get() or composite(algorithm, parts)

    def record_with_kind(bucket, key, prior, obj, data):
        if _whole.get():
            obj[KIND] = FULL_OBJECT
        return record(bucket, key, prior, obj, data)

    s3._create_multipart_upload = create_with_kind
    s3._upload_part = upload_as_announced
    s3._complete_multipart_upload = complete_with_tags
    s3._composite_checksum = of_the_whole
    s3._record_object_version = record_with_kind


def _text(body, name):
    root = xml.etree.ElementTree.fromstring(body)
    return next(element.text for element in root.iter() if element.tag.endswith(name))
