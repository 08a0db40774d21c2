"""Runs statements with `tarn query` and with DuckDB on the same data files, and compares the answers.

Takes the program, the lake and a JSON list of statements; prints one JSON object per statement: its `sql`,
`same` (whether the answers are equal), the `error` of Tarn and the first rows of both.

Numbers are equal within 1e-9 of their size, or where DuckDB's value rounded to 12 digits after the point is
Tarn's. Rows are compared as multisets, and in their order where the statement has ORDER BY.
"""

import datetime
import decimal
import json
import math
import re
import subprocess
import sys

import duckdb
from pyiceberg.table import StaticTable


def tarn(*arguments):
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr.strip()


def connect(program, lake):
    """DuckDB with the lake's tables at their current versions, by the files that pyiceberg finds."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    _, tables, _ = tarn(program, "--lake", lake, "--json", "tables")
    for table in map(json.loads, tables.splitlines()):
        if not table["rows"]:
            continue
        name = table["table"].split(".")[1]
        iceberg = StaticTable.from_metadata(table["metadata_location"])
        files = [task.file.file_path.removeprefix("file://") for task in iceberg.scan().plan_files()]
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet({files!r}, union_by_name = true)")
    return connection


def plain(value):
    """A value as a number, a time as text, or as it is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        return float(value)
    if isinstance(value, datetime.datetime):
        return "time " + value.replace(tzinfo=None).isoformat(timespec="seconds")
    if isinstance(value, datetime.date):
        return f"time {value.isoformat()}T00:00:00"
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    text = str(value)
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"time {text}T00:00:00"
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+(\.\d+)?Z?", text):
        return "time " + text.rstrip("Z").split(".")[0]
    return text


def equal(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=0.6e-12)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def place(row):
    """An order of rows in which nearly equal numbers are equal."""
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in row]


def main():
    program, lake, path = sys.argv[1:]
    connection = connect(program, lake)
    with open(path, encoding="utf-8") as file:
        statements = json.load(file)
    for statement in statements:
        sql = statement["sql"]
        try:
            expected = [plain(list(row)) for row in connection.execute(sql).fetchall()]
        except duckdb.Error as error:
            expected = str(error).splitlines()[0]
        code, output, error = tarn(program, "--lake", lake, "query", "--format", "ndjson", sql)
        found = error if code else [plain(list(json.loads(line).values())) for line in output.splitlines()]
        same = isinstance(expected, list) and isinstance(found, list)
        if same:
            in_order = "ORDER BY" in sql
            both = (expected, found) if in_order else (sorted(expected, key=place), sorted(found, key=place))
            same = equal(*both)
        print(
            json.dumps(
                {
                    "sql": sql,
                    "same": same,
                    "error": error if code else None,
                    "expected": str(expected)[:200],
                    "found": str(found)[:200],
                }
            )
        )


if __name__ == "__main__":
    main()
