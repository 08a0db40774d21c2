"""Reads every table of a lake through its Glue catalog and compares it with that of a lake in a folder.

The argument is a JSON object:
    endpoint, region   of the emulator
    zones              {zone: Glue database}
    folder             {"zone.table": metadata file of the folder's table}
    ignored            columns that are not compared. System columns, which begin with _, are not compared
                       either, except those that say why a row was rejected
The answer is {"zone.table": {"rows": n, "present": {column: values that are not null}, "different":
null or what differs}}.
"""

import collections
import json
import sys

from pyiceberg.catalog import load_catalog
from pyiceberg.table import StaticTable


REJECTED = {"_rule", "_column", "_payload_encoding"}


def content(rows, ignored):
    """The rows as text, with how often each comes."""
    own = [name for name in rows.column_names if not name.startswith("_") or name in REJECTED]
    names = sorted(name for name in own if name not in ignored)
    columns = [rows.column(name).to_pylist() for name in names]
    return names, collections.Counter(json.dumps(row, default=str) for row in zip(*columns))


def main(request):
    ignored = set(request["ignored"])
    catalog = load_catalog(
        "glue",
        **{
            "type": "glue",
            "glue.endpoint": request["endpoint"],
            "glue.region": request["region"],
            "glue.access-key-id": "test",
            "glue.secret-access-key": "test",
            "s3.endpoint": request["endpoint"],
            "s3.region": request["region"],
            "s3.access-key-id": "test",
            "s3.secret-access-key": "test",
            "s3.force-virtual-addressing": "false",
        },
    )
    found = {
        f"{zone}.{table}": catalog.load_table((database, table))
        for zone, database in request["zones"].items()
        for _, table in catalog.list_tables(database)
    }
    answer = {}
    for name in sorted(found.keys() | request["folder"].keys()):
        if name not in found or name not in request["folder"]:
            where = "the folder" if name not in found else "Glue"
            answer[name] = {"rows": 0, "present": {}, "different": f"is only in {where}"}
            continue
        rows = found[name].scan().to_arrow()
        twin = StaticTable.from_metadata(request["folder"][name]).scan().to_arrow()
        (names, here), (twin_names, there) = content(rows, ignored), content(twin, ignored)
        different = None
        if names != twin_names:
            different = {"columns": names, "columns of the folder": twin_names}
        elif here != there:
            missing, surplus = there - here, here - there
            different = {
                "missing": [missing.total(), sorted(missing)[:3]],
                "surplus": [surplus.total(), sorted(surplus)[:3]],
            }
        answer[name] = {
            "rows": rows.num_rows,
            "present": {each: rows.num_rows - rows.column(each).null_count for each in rows.column_names},
            "different": different,
        }
    return answer


print(json.dumps(main(json.loads(sys.argv[1]))))
