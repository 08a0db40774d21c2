"""Counts rows of every table at every version by conditions on every column, with pyiceberg, DuckDB, PyArrow and Tarn.

Takes the program, the lake and the address of its HTTP API; prints a JSON object: how many `versions` and
`conditions` were compared, and the `differences`. Each engine leaves out files and parts of files in its own way, and
all must find the same number of rows.
"""

import datetime
import decimal
import json
import subprocess
import sys
import urllib.error
import urllib.request

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual, IsNull, LessThan
from pyiceberg.table import StaticTable

program, lake, address = sys.argv[1:]


def listed(*arguments):
    run = subprocess.run([program, "--lake", lake, "--json", *arguments], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def tarn(sql, version):
    body = json.dumps({"sql": sql, "as_of": str(version)}).encode()
    request = urllib.request.Request(f"http://{address}/query", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["rows"][0]["n"]
    except urllib.error.HTTPError as error:
        return error.read().decode()


def literal(value):
    """A value as SQL has it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value.astimezone(datetime.timezone.utc).isoformat().replace('+00:00', 'Z')}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def is_list(kind):
    return types.is_list(kind) or types.is_large_list(kind)


def conditions(column):
    """Of a column: name, operator and value."""
    yield "IS NULL", None
    if is_list(column.type):
        return
    values = sorted(value for value in pc.unique(column).to_pylist() if value is not None)
    picked = {len(values) // 2: None, 0: None, len(values) - 1: None} if values else {}
    for place in picked:
        yield "=", values[place]
    if values and not types.is_boolean(column.type):
        middle = values[len(values) // 2]
        yield "<", middle
        yield ">=", middle


ARROW = {"=": pc.equal, "<": pc.less, ">=": pc.greater_equal}
ICEBERG = {"=": EqualTo, "<": LessThan, ">=": GreaterThanOrEqual}


def iceberg_value(value):
    """As pyiceberg takes it."""
    return value.isoformat() if isinstance(value, (datetime.date, datetime.datetime)) else value


compared = versions = 0
differences = []
for table in listed("tables"):
    name = table["table"]
    iceberg = StaticTable.from_metadata(table["metadata_location"])
    for version in listed("versions", name):
        versions += 1
        snapshot, number = int(version["snapshot_id"]), version["version"]
        rows = iceberg.scan(snapshot_id=snapshot).to_arrow()
        tasks = iceberg.scan(snapshot_id=snapshot).plan_files()
        files = [task.file.file_path.removeprefix("file://") for task in tasks]
        duck = duckdb.connect()
        duck.execute("SET TimeZone = 'UTC'")
        if files:
            duck.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet({files!r}, union_by_name = true)")
        for field in rows.schema:
            column = rows.column(field.name)
            for operator, value in conditions(column):
                compared += 1
                if value is None:
                    expected, condition, expression = column.null_count, f'"{field.name}" IS NULL', IsNull(field.name)
                else:
                    expected = pc.sum(ARROW[operator](column, pa.scalar(value, field.type))).as_py() or 0
                    condition = f'"{field.name}" {operator} {literal(value)}'
                    expression = ICEBERG[operator](field.name, iceberg_value(value))
                found = {"tarn": tarn(f"SELECT COUNT(*) AS n FROM {name} WHERE {condition}", number)}
                # It neither compares lists nor selects them beside a condition.
                if not is_list(field.type):
                    scan = iceberg.scan(expression, (field.name,), snapshot_id=snapshot)
                    found["pyiceberg"] = scan.to_arrow().num_rows
                if files and field.name in [one[0] for one in duck.execute("DESCRIBE t").fetchall()]:
                    by_duck = f'"{field.name}" {operator} ?' if value is not None else condition
                    asked = duck.execute(f"SELECT count(*) FROM t WHERE {by_duck}", [value] if value is not None else [])
                    found["duckdb"] = asked.fetchall()[0][0]
                for engine, count in found.items():
                    if count != expected:
                        differences.append(f"{name} version {number}, {condition}: {engine} {count}, PyArrow {expected}")
print(json.dumps({"versions": versions, "conditions": compared, "differences": differences[:50]}))
