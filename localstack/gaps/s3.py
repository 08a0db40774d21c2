"""S3 → EventBridge: the event's detail names the version of the object, as on AWS.

MiniStack knows the version when it fires the event and puts it only into the older notification format.
"""

import contextvars
import json

from ministack.services import eventbridge, s3

_version = contextvars.ContextVar("version of the object whose event is fired", default=None)


def close():
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
