"""Counts missing values per partition of Parquet files with DuckDB.

Arguments: the folder of a table, its partition column, day or month. Prints a JSON object
{partition: {"rows": n, "missing": {column: n}}} without columns that have no missing values.
"""

import json
import sys

import duckdb

SENTINELS = ["-", "--", ".", "?", "n/a", "n.a.", "na", "nan", "nil", "none", "null", "unknown"]

folder, by, unit = sys.argv[1:]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
db.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet('{folder}/**/*.parquet', hive_partitioning=false)")
columns = {name: kind for name, kind, *_ in db.execute("DESCRIBE t").fetchall() if not name.startswith("_")}
form = {"day": "%Y-%m-%d", "month": "%Y-%m"}[unit]
partition = f"coalesce(strftime(\"{by}\", '{form}'), 'null')"
found = {}
for part, rows in db.execute(f"SELECT {partition}, count(*) FROM t GROUP BY ALL").fetchall():
    found[part] = {"rows": rows, "missing": {}}
for name, kind in columns.items():
    missing = f'"{name}" IS NULL'
    if kind == "VARCHAR":
        listed = ", ".join(f"'{text}'" for text in SENTINELS)
        missing += f" OR regexp_full_match(\"{name}\", '\\s*') OR lower(trim(\"{name}\")) IN ({listed})"
    query = f"SELECT {partition}, count(*) FILTER ({missing}) FROM t GROUP BY ALL"
    for part, count in db.execute(query).fetchall():
        if count:
            found[part]["missing"][name] = count
print(json.dumps(found))
