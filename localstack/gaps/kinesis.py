"""Kinesis: CreateStream keeps the tags of its request.

Without them a second `terraform plan` wants to add the provider's default tags again.
"""

from ministack.services import kinesis


def close():
    create = kinesis._create_stream

    def create_with_tags(data):
        response = create(data)
        if response[0] == 200 and data.get("Tags"):
            kinesis._streams[data["StreamName"]]["tags"].update(data["Tags"])
        return response

    kinesis._create_stream = create_with_tags
