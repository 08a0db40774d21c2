"""Reads Iceberg tables through their metadata files and summarises their content.

The argument is a JSON list of {"metadata": location, "snapshot": id as text, "sums": [columns]}; the
answer is a JSON list of {"rows": n, "present": {column: values that are not null}, "sums": {column:
exact sum as text}}.
"""

import json
import sys
from decimal import Decimal

from pyiceberg.table import StaticTable


def summary(request):
    table = StaticTable.from_metadata(request["metadata"])
    rows = table.scan(snapshot_id=int(request["snapshot"])).to_arrow()
    present = {name: rows.num_rows - rows.column(name).null_count for name in rows.column_names}
    sums = {}
    for name in request["sums"]:
        total = sum((value for value in rows.column(name).to_pylist() if value is not None), Decimal(0))
        sums[name] = str(total)
    return {"rows": rows.num_rows, "present": present, "sums": sums}


print(json.dumps([summary(request) for request in json.loads(sys.argv[1])]))
