"""Opens Iceberg tables through their metadata files with both of pyiceberg's file readers, and prints their rows.

The arguments are metadata locations; the answer is a JSON list of {"pyarrow": rows, "fsspec": rows, "files": data files}.
"""

import json
import os
import sys

from pyiceberg.table import StaticTable

WAYS = {"pyarrow": "pyiceberg.io.pyarrow.PyArrowFileIO", "fsspec": "pyiceberg.io.fsspec.FsspecFileIO"}


def opened(location):
    found = {}
    for name, way in WAYS.items():
        table = StaticTable.from_metadata(location, {"py-io-impl": way})
        assert type(table.io).__name__ == way.rsplit(".")[-1], table.io
        found[name] = table.scan().to_arrow().num_rows
        # What the table names is there, and what it would write would be beside it.
        found["files"] = sorted(task.file.file_path for task in table.scan().plan_files())
        paths = [location, table.location()] + found["files"]
        paths += [snapshot.manifest_list for snapshot in table.snapshots()]
        paths += [manifest.manifest_path for snapshot in table.snapshots() for manifest in snapshot.manifests(table.io)]
        for path in paths:
            assert os.path.exists(path.removeprefix("file://")), path
            if path != table.location():
                with table.io.new_input(path).open() as file:
                    assert file.read(1), path
    return found


print(json.dumps([opened(location) for location in sys.argv[1:]]))
