"""CloudWatch: the Query protocol returns alarms as they were put.

The Terraform provider uses the Query protocol. There MiniStack drops `Metrics` (metric math),
`InsufficientDataActions` and `EvaluateLowSampleCountPercentile` of PutMetricAlarm, and DescribeAlarms
shows only a few fields, so a second `terraform plan` wants to change every alarm.
"""

import json
import re
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

# In the order of AWS's own answer. Those of one metric are left out of an alarm over an expression.
FIELDS = (
    "AlarmName AlarmArn AlarmDescription AlarmRule ActionsEnabled OKActions AlarmActions "
    "InsufficientDataActions StateValue StateReason MetricName Namespace Statistic ExtendedStatistic "
    "Dimensions Period Unit EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator "
    "TreatMissingData EvaluateLowSampleCountPercentile Metrics ThresholdMetricId"
).split()
OF_ONE_METRIC = {"MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit"}


def close():
    put, describe = cloudwatch._put_metric_alarm, cloudwatch._describe_alarms

    def put_metric_alarm(params, cbor_data, is_cbor, is_json=False):
        response = put(params, cbor_data, is_cbor, is_json)
        if response[0] == 200 and not (is_cbor or is_json):
            alarm = cloudwatch._alarms.get(cloudwatch._p(params, "AlarmName"))
            given = _nested(params)
            for field in ("Metrics", "InsufficientDataActions"):
                if field in given:
                    alarm[field] = given[field]
            for field in ("EvaluateLowSampleCountPercentile", "ThresholdMetricId"):
                if field in given:
                    alarm[field] = given[field]
        return response

    def describe_alarms(params, cbor_data, is_cbor, is_json=False):
        if is_cbor or is_json:
            return describe(params, cbor_data, is_cbor, is_json)
        response = describe({}, _nested(params), False, True)
        if response[0] != 200:  # the error in the caller's protocol
            return describe(params, cbor_data, is_cbor, is_json)
        found = json.loads(response[2])
        token = found.get("NextToken")
        return cloudwatch._xml(
            200,
            "DescribeAlarmsResponse",
            "<DescribeAlarmsResult>"
            + "".join(f"<{kind}>{_xml(_shown(found[kind]))}</{kind}>" for kind in ("MetricAlarms", "CompositeAlarms"))
            + (f"<NextToken>{escape(token)}</NextToken>" if token else "")
            + "</DescribeAlarmsResult>",
        )

    cloudwatch._put_metric_alarm = put_metric_alarm
    cloudwatch._describe_alarms = describe_alarms


def _shown(alarms):
    """The alarms with the fields that AWS shows of each."""
    return [
        {
            field: alarm[field]
            for field in FIELDS
            if field in alarm and not (alarm.get("Metrics") and field in OF_ONE_METRIC)
        }
        for alarm in alarms
    ]


def _nested(params):
    """The form's `A.member.1.B=c` as `{"A": [{"B": "c"}]}`."""
    tree = {}
    for name in params:
        value = cloudwatch._p(params, name)
        *parents, leaf = name.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[leaf] = value
    return _lists(tree)


def _lists(node):
    if not isinstance(node, dict):
        return node
    members = node.get("member")
    if isinstance(members, dict) and all(re.fullmatch(r"\d+", index) for index in members):
        return [_lists(members[index]) for index in sorted(members, key=int)]
    return {name: _lists(value) for name, value in node.items()}


def _xml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "".join(f"<member>{_xml(each)}</member>" for each in value)
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(each)}</{name}>" for name, each in value.items() if each not in (None, ""))
    return escape(str(value))
