"""SQS: it returns the parsed form of a queue's policies.

MiniStack keeps the text of `RedriveAllowPolicy` and `RedrivePolicy`. AWS keeps their meaning: it drops a
null, and a client that waits to read exactly what it put, like the Terraform provider, waits forever.
"""

import json

from ministack.services import sqs

POLICIES = ("RedriveAllowPolicy", "RedrivePolicy")


def close():
    for action in ("CreateQueue", "SetQueueAttributes"):
        sqs._HANDLERS[action] = _understood(sqs._HANDLERS[action])


def _understood(act):
    def acted(data, url):
        attributes = data.get("Attributes") or {}
        for name in POLICIES:
            if attributes.get(name):
                policy = json.loads(attributes[name])
                kept = {key: value for key, value in policy.items() if value is not None}
                attributes[name] = json.dumps(kept, separators=(",", ":"))
        return act(data, url)

    return acted
