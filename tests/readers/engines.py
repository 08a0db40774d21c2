"""Extreme values of every type, in every way in which a column is stored, and how other engines read them.

    engines.py make DIR           writes DIR/contracts, and one file of JSON lines per case: DIR/<case>.ndjson
    engines.py judge DIR TABLES   reads the tables and prints every difference; TABLES is a JSON object
                                  {case: metadata location}

PyArrow, DuckDB, Polars and chDB read the data files, and pyiceberg reads the table. Each must find the values that
were written, the null counts, the bounds in the footers and in the manifests, and the right number of rows for a
filter, because filters skip row groups and pages by their bounds.
"""

import json
import os
import random
import struct
import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIRST, LAST = datetime(1, 1, 1, tzinfo=timezone.utc), datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc)


def micros(value):
    return (value - EPOCH) // timedelta(microseconds=1)


def scaled(scale, digits):
    """Numbers with this many digits, as they are stored and as decimals."""
    top = 10**digits - 1
    return [Decimal(n).scaleb(-scale) for n in (0, 1, -1, top, -top, top // 2, 10 % (top + 1), -127 % (top + 1))]


# Name, logical and physical type, whether it is required, and extreme values.
COLUMNS = [
    ("an_int", "integer", "int", False, [0, 1, -1, 2**31 - 1, -(2**31), 255, 256, 65535, -32769]),
    ("a_long", "integer", "bigint", False, [0, 1, -1, 2**63 - 1, -(2**63), 2**31, -(2**31) - 1, 2**53 + 1]),
    ("a_date", "date", "date", False, [date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1), date(1969, 12, 31), date(1582, 10, 10), date(2000, 2, 29)]),
    ("a_time", "timestamp", "timestamptz", False, [FIRST, LAST, EPOCH, EPOCH - timedelta(microseconds=1), datetime(2038, 1, 19, 3, 14, 8, 1, timezone.utc)]),
    ("small_money", "number", "decimal(9,2)", False, scaled(2, 9)),
    ("money", "number", "decimal(18,2)", False, scaled(2, 18)),
    ("fine", "number", "decimal(18,18)", False, scaled(18, 18)),
    ("tiny", "number", "decimal(1,0)", False, scaled(0, 1)),
    ("a_double", "number", "double", False, [0.0, -0.0, 1.7976931348623157e308, -1.7976931348623157e308, 5e-324, -5e-324, 0.1 + 0.2, 2.0**53, 1.5]),
    ("a_flag", "boolean", "boolean", False, [True, False]),
    ("a_text", "string", "string", False, ["", "a", "A", "x" * 64, "x" * 65, "x" * 300, "\u00e9" * 40, "\U0010ffff" * 20, "0" * 63 + "\U0010ffff" + "z", "\ud7ff" * 30, "\u0000nul", "a\nb", "\ufeffbom", "~" * 70, "NULL"]),
    ("words", "array", "array<string>", False, [[], [""], ["a"], ["a", "b", "a"], ["x" * 70, ""], ["\U0010ffff" * 20], [str(n) for n in range(40)]]),
    ("kept_int", "integer", "int", True, [2**31 - 1, -(2**31), 0]),
    ("kept_text", "string", "string", True, ["", "k", "\u00fc" * 50]),
]


def distinct(name, n):
    """A value that no other row has in this column, as far as the type has enough values."""
    mixed = (n * 0x9E3779B97F4A7C15 + 0x123456789) % 2**64
    return {
        "an_int": lambda: mixed % 2**32 - 2**31,
        "a_long": lambda: mixed - 2**63,
        "a_date": lambda: date(1, 1, 1) + timedelta(days=mixed % 3652059),
        "a_time": lambda: EPOCH + timedelta(microseconds=mixed % 2**51),
        "small_money": lambda: Decimal(mixed % (2 * 10**9 - 1) - 10**9 + 1).scaleb(-2),
        "money": lambda: Decimal(mixed % (2 * 10**18 - 1) - 10**18 + 1).scaleb(-2),
        "fine": lambda: Decimal(mixed % (2 * 10**18 - 1) - 10**18 + 1).scaleb(-18),
        "tiny": lambda: Decimal(mixed % 19 - 9),
        "a_double": lambda: (mixed - 2**63) / 3.0,
        "a_flag": lambda: mixed % 2 == 0,
        "a_text": lambda: f"{mixed:x}-{n}",
        "words": lambda: [f"{mixed:x}", str(n)][: mixed % 3],
        "kept_int": lambda: mixed % 2**32 - 2**31,
        "kept_text": lambda: f"{n}/{mixed:x}",
    }[name]()


def ascending(name, n):
    return {
        "an_int": lambda: n - 1000,
        "a_long": lambda: n * 1_000_003 - 2**40,
        "a_date": lambda: date(2020, 1, 1) + timedelta(days=n // 100),
        "a_time": lambda: EPOCH + timedelta(milliseconds=n * 37),
        "small_money": lambda: Decimal(n).scaleb(-2),
        "money": lambda: Decimal(n * 7).scaleb(-2),
        "fine": lambda: Decimal(n).scaleb(-18),
        "tiny": lambda: Decimal(min(n // 10000, 9)),
        "a_double": lambda: n / 8,
        "a_flag": lambda: n >= 500,
        "a_text": lambda: f"https://shop.example/p/{n:09}",
        "words": lambda: [f"{n:09}"],
        "kept_int": lambda: n,
        "kept_text": lambda: f"{n:09}",
    }[name]()


# Name, rows, and the value of a column in a row.
def cases():
    dice = random.Random(7)

    def edges(column, n):
        values = column[4]
        return values[n % len(values)]

    def alternating(column, n):
        values = sorted(column[4]) if column[0] != "words" else column[4]
        return values[0 if n % 2 else -1]

    def sparse(column, n, value):
        return None if not column[3] and n % 7 in (2, 3) else value

    def wide(column, n):
        if column[0] in ("a_text", "kept_text"):
            return chr(97 + n % 26) * (3000 + n % 50) + str(n)
        if column[0] == "words":
            return ["w" * 2000 + str(n)] * (n % 3)
        return sparse(column, n, edges(column, n))

    def given_up(column, n):
        return edges(column, n) if n < 40_000 else sparse(column, n, distinct(column[0], n))

    def taken_up(column, n):
        return distinct(column[0], n) if n < 3000 else edges(column, n % 5)

    one = {column[0]: dice.choice(column[4]) for column in COLUMNS}
    return {
        "edges": (2000, edges),
        "sparse_edges": (2000, lambda column, n: sparse(column, n, edges(column, n))),
        "alternating": (5000, alternating),
        "one_value": (5000, lambda column, n: one[column[0]]),
        "one_row": (1, edges),
        "nulls": (3000, lambda column, n: edges(column, 0) if column[3] else None),
        "last_alone": (3000, lambda column, n: edges(column, 1) if column[3] or n == 2999 else None),
        "distinct": (20_000, lambda column, n: distinct(column[0], n)),
        "sparse_distinct": (20_000, lambda column, n: sparse(column, n, distinct(column[0], n))),
        "ascending": (20_000, lambda column, n: ascending(column[0], n)),
        "wide": (3000, wide),
        "given_up": (70_000, given_up),
        "taken_up": (30_000, taken_up),
        # Several row groups, of several pages each.
        "many": (150_000, lambda column, n: sparse(column, n, edges(column, n // 10_000))),
        "none": (0, edges),
    }


def as_json(value):
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z").rjust(27, "0")
    if isinstance(value, date):
        return value.isoformat().rjust(10, "0")
    return value


def contract(case):
    lines = ["apiVersion: v3.1.0", "kind: DataContract", f"id: {case}", "version: 1.0.0", "status: active",
             "description: { purpose: A case. }", "customProperties:", "  - { property: sourceFormat, value: jsonLines }",
             f"  - {{ property: keyPattern, value: raw/engines/{case}/** }}", "schema:", f"  - name: {case}",
             "    logicalType: object", "    properties:",
             "      - { name: row_id, logicalType: integer, physicalType: bigint, required: true }"]
    for name, logical, physical, required, _ in COLUMNS:
        items = "" if logical != "array" else ", items: { logicalType: string }"
        lines.append(f"      - {{ name: {name}, logicalType: {logical}, physicalType: \"{physical}\", required: {str(required).lower()}{items} }}")
    return "\n".join(lines) + "\n"


def make(folder):
    os.makedirs(f"{folder}/contracts")
    for case, (rows, value) in cases().items():
        with open(f"{folder}/contracts/{case}.odcs.yaml", "w") as file:
            file.write(contract(case))
        with open(f"{folder}/{case}.ndjson", "w") as file:
            for n in range(rows):
                row = {"row_id": n} | {column[0]: as_json(value(column, n)) for column in COLUMNS}
                file.write(json.dumps(row) + "\n")


def judge(folder, tables):
    import chdb
    import duckdb
    import polars
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyiceberg.conversions import from_bytes
    from pyiceberg.table import StaticTable

    def arrow_type(physical):
        if physical.startswith("decimal"):
            precision, scale = physical[8:-1].split(",")
            return pa.decimal128(int(precision), int(scale))
        return {"int": pa.int32(), "bigint": pa.int64(), "date": pa.date32(), "timestamptz": pa.timestamp("us", "UTC"),
                "double": pa.float64(), "boolean": pa.bool_(), "string": pa.string(), "array<string>": pa.list_(pa.string())}[physical]

    schema = pa.schema([("row_id", pa.int64())] + [(column[0], arrow_type(column[2])) for column in COLUMNS])
    names = schema.names
    differences = []

    def note(*what):
        if len(differences) < 300:
            differences.append(" ".join(str(one) for one in what)[:400])

    def comparable(array):
        """Doubles by their bits: minus zero is not zero."""
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        if pa.types.is_floating(array.type):
            bits = [None if value is None else struct.pack(">d", value) for value in array.to_pylist()]
            return pa.array(bits, pa.binary(8))
        return array

    def compare(case, engine, expected, read, null_lists=True):
        try:
            found = read()
        except Exception as error:
            return note(case, engine, "fails:", error)
        if found.num_rows != expected.num_rows:
            return note(case, engine, found.num_rows, "rows of", expected.num_rows)
        for name in names:
            want, got = expected.column(name), found.column(name)
            try:
                got = got.cast(want.type)
            except Exception as error:
                note(case, engine, name, got.type, error)
                continue
            if not null_lists and pa.types.is_list(want.type):
                want = pa.chunked_array([pa.array([value or [] for value in want.to_pylist()], want.type)])
            elif want.null_count != got.null_count:
                note(case, engine, name, got.null_count, "nulls of", want.null_count)
            want, got = comparable(want), comparable(got)
            if not want.equals(got):
                rows = [n for n, (a, b) in enumerate(zip(want.to_pylist(), got.to_pylist())) if a != b]
                n = rows[0] if rows else "?"
                note(case, engine, name, len(rows), "rows differ, first", n, want[n] if rows else "", got[n] if rows else "")

    def compare_counts(case, what, expected, asked):
        for engine, count in asked.items():
            try:
                found = count()
            except Exception as error:
                found = error
            if found != expected:
                note(case, engine, what, "in", found, "rows of", expected)

    # Days and times of years that chDB's own types do not know are read as the numbers that are stored.
    def source_of(files):
        listed = "{" + ",".join(files) + "}" if len(files) > 1 else files[0]
        said = str(chdb.query(f"DESCRIBE file('{listed}', Parquet) FORMAT JSONEachRow"))
        types = {one["name"]: one["type"] for one in map(json.loads, said.splitlines())}
        types |= {field.name: "Nullable(Int32)" for field in schema if pa.types.is_date(field.type)}
        structure = ", ".join(f"{name} {types[name]}" for name in names).replace("'", "\\'")
        return f"file('{listed}', Parquet, '{structure}')"

    def by_chdb(source):
        times = [f"toUnixTimestamp64Micro({field.name}) AS {field.name}" if pa.types.is_timestamp(field.type) else field.name for field in schema]
        asked = f"SELECT {', '.join(times)} FROM {source} ORDER BY row_id SETTINGS output_format_arrow_string_as_string=1"
        found = pa.ipc.open_file(pa.py_buffer(chdb.query(asked, "Arrow").bytes())).read_all()
        columns = {}
        for field in schema:
            number = {pa.date32(): pa.int32(), pa.timestamp("us", "UTC"): pa.int64()}.get(field.type)
            column = found.column(field.name)
            columns[field.name] = column.cast(number).cast(field.type) if number else column
        return pa.table(columns)

    def literal(value):
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return str(value)

    for case, (rows, value) in cases().items():
        columns = [pa.array(range(rows), pa.int64())]
        columns += [pa.array([value(column, n) for n in range(rows)], arrow_type(column[2])) for column in COLUMNS]
        expected = pa.table(columns, names)
        table = StaticTable.from_metadata(tables[case])
        compare(case, "pyiceberg", expected, lambda: table.scan().to_arrow().select(names).sort_by("row_id"))
        tasks = list(table.scan().plan_files())
        files = [task.file.file_path.removeprefix("file://") for task in tasks]
        if not files:
            if rows:
                note(case, "no files")
            continue
        compare(case, "pyarrow", expected, lambda: pa.concat_tables([pq.read_table(file).select(names) for file in files]).sort_by("row_id"))
        duck = duckdb.connect()
        duck.execute("SET TimeZone = 'UTC'")
        source = "read_parquet([" + ", ".join(f"'{file}'" for file in files) + "])"
        compare(case, "duckdb", expected, lambda: duck.sql(f"SELECT {', '.join(names)} FROM {source} ORDER BY row_id").to_arrow_table())
        frame = polars.scan_parquet(files)
        compare(case, "polars", expected, lambda: frame.select(names).sort("row_id").collect().to_arrow())
        chdb_source = source_of(files)
        compare(case, "chdb", expected, lambda: by_chdb(chdb_source), null_lists=False)
        # Filters: equal to some values, each engine with its own way to leave out what cannot match.
        data = ds.dataset(files)
        for field in schema:
            name = field.name
            if pa.types.is_list(field.type):
                continue
            column = expected.column(name)
            values = [one for one in column.unique().to_pylist() if one is not None]
            for wanted in values[:3] + values[3:][-2:]:
                scalar = pa.scalar(wanted, field.type)
                count = pc.sum(pc.equal(column, scalar)).as_py() or 0
                asked = {
                    "pyarrow": lambda: data.count_rows(filter=pc.field(name) == scalar),
                    "duckdb": lambda: duck.execute(f"SELECT count(*) FROM {source} WHERE {name} = ?", [wanted]).fetchall()[0][0],
                }
                if not pa.types.is_decimal(field.type):
                    is_wanted = polars.col(name) == polars.from_arrow(pa.array([wanted], field.type))[0]
                    asked["polars"] = lambda: frame.filter(is_wanted).select(polars.len()).collect().item()
                if pa.types.is_integer(field.type) or pa.types.is_boolean(field.type) or (pa.types.is_string(field.type) and "\0" not in wanted):
                    asked["chdb"] = lambda: int(str(chdb.query(f"SELECT count() FROM {chdb_source} WHERE {name} = {literal(wanted)}")))
                compare_counts(case, f"{name} = {wanted!r}", count, asked)
            asked = {
                "pyarrow": lambda: data.count_rows(filter=pc.field(name).is_null()),
                "duckdb": lambda: duck.execute(f"SELECT count(*) FROM {source} WHERE {name} IS NULL").fetchall()[0][0],
                "polars": lambda: frame.filter(polars.col(name).is_null()).select(polars.len()).collect().item(),
                "chdb": lambda: int(str(chdb.query(f"SELECT count() FROM {chdb_source} WHERE {name} IS NULL"))),
            }
            compare_counts(case, f"{name} is null", column.null_count, asked)
        # Bounds and null counts of footers and manifests, file by file.
        for task, path in zip(tasks, files):
            here = pq.read_table(path)
            footer = pq.ParquetFile(path).metadata
            of_schema = {field.name: field for field in table.schema().fields}
            for at in range(footer.num_columns):
                leaf = footer.row_group(0).column(at).path_in_schema
                name = leaf.split(".")[0]
                if name not in names:
                    continue
                column = here.column(name)
                is_list = pa.types.is_list(schema.field(name).type)
                present = [one for one in column.to_pylist() if one is not None]
                present = [item for items in present for item in items] if is_list else present
                least, greatest = (min(present), max(present)) if present else (None, None)
                lows, highs, nulls = [], [], 0
                for group in range(footer.num_row_groups):
                    found = footer.row_group(group).column(at).statistics
                    nulls += found.null_count
                    if found.has_min_max:
                        lows.append(found.min)
                        highs.append(found.max)
                if not is_list and nulls != column.null_count:
                    note(case, path, name, nulls, "nulls in the footer of", column.null_count)
                if bool(lows) != bool(present):
                    note(case, path, name, "has bounds:", bool(lows))
                    continue
                field = of_schema[name]
                field_id = field.field_type.element_id if is_list else field.field_id
                low, high = task.file.lower_bounds.get(field_id), task.file.upper_bounds.get(field_id)
                if not is_list:
                    if task.file.null_value_counts.get(field_id) != column.null_count:
                        note(case, path, name, task.file.null_value_counts.get(field_id), "nulls in the manifest of", column.null_count)
                    if task.file.value_counts.get(field_id) != len(column):
                        note(case, path, name, "values in the manifest", task.file.value_counts.get(field_id))
                if not present:
                    continue
                if isinstance(least, str):
                    as_bytes = [one.encode() if isinstance(one, str) else one for one in (min(lows), least, greatest, max(highs))]
                    if not as_bytes == sorted(as_bytes):
                        note(case, path, name, "bounds in the footer", as_bytes)
                    if low is not None and not low <= least.encode() or high is not None and not high >= greatest.encode():
                        note(case, path, name, "bounds in the manifest", low, high)
                    for one in (low, high):
                        if one is not None:
                            one.decode()
                    continue
                if pa.types.is_decimal(schema.field(name).type):
                    pass
                elif (min(lows), max(highs)) != (least, greatest):
                    note(case, path, name, "bounds in the footer", min(lows), max(highs), "of", least, greatest)
                if low is None or high is None:
                    note(case, path, name, "has no bounds in the manifest")
                    continue
                low, high = (from_bytes(field.field_type, one) for one in (low, high))
                if isinstance(least, date) and not isinstance(least, datetime):
                    least, greatest = ((one - date(1970, 1, 1)).days for one in (least, greatest))
                elif isinstance(least, datetime):
                    least, greatest = micros(least), micros(greatest)
                if (low, high) != (least, greatest):
                    note(case, path, name, "bounds in the manifest", low, high, "of", least, greatest)
    return differences


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    print(json.dumps(judge(sys.argv[2], json.loads(sys.argv[3]))))
