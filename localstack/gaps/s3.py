"""S3: events that name the object's version, and lists of versions with encoded keys.

- The detail of an EventBridge event names the version of the object. MiniStack knows it when it
  sends the event, but only puts it into the older notification format.
- ListObjectVersions with `encoding-type=url` encodes keys. MiniStack sends them unencoded, and a
  client that decodes them, such as the Terraform provider when it empties a bucket, gets wrong keys.
"""

import contextvars
import json
import urllib.parse
import xml.etree.ElementTree

from ministack.services import eventbridge, s3

_version = contextvars.ContextVar("version of the object whose event is fired", default=None)


ENCODED = {"Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker"}


def close():
    list_versions = s3._list_object_versions

    def list_object_versions(bucket, query_params):
        status, headers, body = list_versions(bucket, query_params)
        if status == 200 and s3._qp(query_params, "encoding-type", "") == "url":
            body = _encoded(body)
        return status, headers, body

    s3._list_object_versions = list_object_versions
    _events_with_version()


def _encoded(body):
    """The list with encoded keys, and with the field that says so."""
    root = xml.etree.ElementTree.fromstring(body)
    namespace = root.tag.partition("}")[0] + "}"
    for element in root.iter():
        if element.tag.removeprefix(namespace) in ENCODED and element.text:
            element.text = urllib.parse.quote_plus(element.text, safe="/")
    xml.etree.ElementTree.SubElement(root, namespace + "EncodingType").text = "url"
    return xml.etree.ElementTree.tostring(
        root, encoding="UTF-8", xml_declaration=True, default_namespace=namespace.strip("{}")
    )


def _events_with_version():
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*args, version_id=None, **kwargs):
        token = _version.set(version_id)
        try:
            return fire(*args, version_id=version_id, **kwargs)
        finally:
            _version.reset(token)

    def dispatch_with_version(event, *args, **kwargs):
        version = _version.get()
        if version and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = event | {"Detail": json.dumps(detail)}
        return dispatch(event, *args, **kwargs)

    s3._fire_s3_event = fire_with_version
    eventbridge._dispatch_event = dispatch_with_version
