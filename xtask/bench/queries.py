"""What DuckDB makes of a query over the lake's files, and whether Tarn's answer is the same.

Arguments: the lake, the statement's file, and Tarn's answer as CSV. Prints the CPU seconds of the query alone
(user and system), and the bytes that a scan by hand reads: the footers and named columns of the files whose
days are asked for.
"""

import csv
import pathlib
import re
import sys
import time

import duckdb
import pyarrow.parquet as parquet

lake, statement, answer = map(pathlib.Path, sys.argv[1:])
sql = statement.read_text()
connection = duckdb.connect(config={"threads": 2})
connection.execute("SET TimeZone = 'UTC'")
bytes_by_hand = 0
for table in sorted((lake / "curated").iterdir()):
    if not re.search(rf"\b{table.name}\b", sql):
        continue
    files = [str(path) for path in sorted(table.rglob("*.parquet"))]
    connection.execute(f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet({files})")
    for file in files:
        footer = parquet.ParquetFile(file).metadata
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        named = [
            group.column(index)
            for group in groups
            for index in range(footer.num_columns)
            if re.search(rf"\b{group.column(index).path_in_schema}\b", sql)
        ]
        days = re.findall(r"event_time [<>]=? '([0-9-]+)'", sql)
        if days:
            times = [column.statistics for column in named if column.path_in_schema == "event_time"]
            least, greatest = min(time.min for time in times), max(time.max for time in times)
            if greatest.date().isoformat() < days[0] or least.date().isoformat() >= days[1]:
                continue
        bytes_by_hand += footer.serialized_size + sum(column.total_compressed_size for column in named)


def plain(value):
    """Numbers to nine digits, everything else as text."""
    try:
        return f"{float(value):.9g}"
    except (TypeError, ValueError):
        return "" if value is None else str(value)


begun = time.process_time()
rows = connection.execute(sql).fetchall()
seconds = time.process_time() - begun
with answer.open(newline="") as file:
    found = sorted([plain(value) for value in row] for row in list(csv.reader(file))[1:])
expected = sorted([plain(value) for value in row] for row in rows)
if found != expected:
    differences = [pair for pair in zip(found, expected) if pair[0] != pair[1]][:3]
    sys.exit(f"{statement.name}: {len(found)} rows, DuckDB has {len(expected)}: {differences}")
print(f"{seconds:.4f}", bytes_by_hand)
