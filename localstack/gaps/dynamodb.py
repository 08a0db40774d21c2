"""DynamoDB: policies that name the items that a role may access.

MiniStack does not set `dynamodb:LeadingKeys`, the partition keys that a request names, so a condition on
it with `ForAllValues` allows everything, as it does on AWS for a request without a key.
"""

import json

from ministack.core import iam_actions
from ministack.services import dynamodb


def close():
    context_of = iam_actions.dynamodb_service_context

    def context_with_keys(body):
        context = context_of(body)
        keys = _leading_keys(body)
        return context | {"dynamodb:LeadingKeys": keys} if keys else context

    iam_actions.dynamodb_service_context = context_with_keys


def _leading_keys(body):
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return []
    table = dynamodb._tables.get(data.get("TableName")) if isinstance(data, dict) else None
    if not table:
        return []
    name = next(key["AttributeName"] for key in table["KeySchema"] if key["KeyType"] == "HASH")
    value = (data.get("Item") or data.get("Key") or {}).get(name)
    return [str(text) for text in value.values()] if value else []
