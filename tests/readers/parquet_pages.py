"""Checks the footers, page headers and page indexes of Parquet files and prints every fault.

The arguments are Parquet files; those after `--answers` are answers of queries, whose columns have no ids. Each must
have (parquet-format, `Encodings.md`, `parquet.thrift`):

- pages of version 1 and dictionaries, no others; compressed with zstd
- values as they are (PLAIN) or numbered by the dictionary (RLE_DICTIONARY), booleans as they are, dictionaries
  PLAIN, levels RLE; the footer names these and no others
- field ids on every column, lists of three levels whose items are called `element`
- sizes, offsets and counts of footer, pages and offset index that agree
- the null count and the bounds of the column index, page by page, are those of the rows that PyArrow reads there

The answer is one JSON object per file: encodings by column, pages, and faults.
"""

import json
import math
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as pq

PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
NAMES = {0: "PLAIN", 2: "PLAIN_DICTIONARY", 3: "RLE", 4: "BIT_PACKED", 5: "DELTA_BINARY_PACKED",
         6: "DELTA_LENGTH_BYTE_ARRAY", 7: "DELTA_BYTE_ARRAY", 8: "RLE_DICTIONARY", 9: "BYTE_STREAM_SPLIT"}
DATA_PAGE, DICTIONARY_PAGE = 0, 2
ZSTD = 6
BOOLEAN, INT32, INT64, DOUBLE, BYTE_ARRAY = 0, 1, 2, 5, 6


class Compact:
    """Thrift's compact protocol: a struct is a dict by field ids."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def bytes(self):
        length = self.varint()
        self.at += length
        return bytes(self.data[self.at - length:self.at])

    def value(self, kind):
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            self.at += 1
            return struct.unpack_from("<b", self.data, self.at - 1)[0]
        if kind in (4, 5, 6):
            return self.zigzag()
        if kind == 7:
            self.at += 8
            return struct.unpack_from("<d", self.data, self.at - 8)[0]
        if kind == 8:
            return self.bytes()
        if kind in (9, 10):
            head = self.data[self.at]
            self.at += 1
            size, kind = head >> 4, head & 15
            if size == 15:
                size = self.varint()
            if kind in (1, 2):
                self.at += size
                return [byte == 1 for byte in self.data[self.at - size:self.at]]
            return [self.value(kind) for _ in range(size)]
        if kind == 12:
            return self.struct()
        raise ValueError(f"kind {kind} at {self.at}")

    def struct(self):
        fields, last = {}, 0
        while True:
            head = self.data[self.at]
            self.at += 1
            if head == 0:
                return fields
            last = last + (head >> 4) if head >> 4 else self.zigzag()
            fields[last] = self.value(head & 15)


def leaves(elements):
    """The columns of a schema: path, element, and the faults of what is above them."""
    found, at = [], 1

    def walk(path, above):
        nonlocal at
        element = elements[at]
        at += 1
        path = path + [element[4].decode()]
        if element.get(5, 0) == 0:
            found.append((path, element, above))
            return
        for _ in range(element[5]):
            walk(path, above + [element])

    for _ in range(elements[0][5]):
        walk([], [])
    return found


def stored(value, kind):
    """A value of PyArrow as its column is ordered."""
    if kind == BYTE_ARRAY:
        return value.encode() if isinstance(value, str) else value
    return value


def bound(data, kind):
    if kind == BOOLEAN:
        return data != b"\0"
    if kind == BYTE_ARRAY:
        return data
    return struct.unpack({INT32: "<i", INT64: "<q", DOUBLE: "<d"}[kind], data)[0]




def numbers(column):
    """A column of times, dates and decimals as the numbers that are stored."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64())
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    if pa.types.is_decimal(column.type):
        scale = column.type.scale
        values = [None if value is None else int(value.scaleb(scale)) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(values, pa.int64())])
    return column


def check(path, has_ids):
    data = open(path, "rb").read()
    faults, encodings, pages = [], {}, 0

    def ask(sound, text):
        if not sound and len(faults) < 20:
            faults.append(text)

    ask(data[:4] == b"PAR1" == data[-4:], "no Parquet file")
    length = struct.unpack("<I", data[-8:-4])[0]
    footer = Compact(data, len(data) - 8 - length).struct()
    ask(footer[1] == 1, f"version {footer[1]}")
    columns = leaves(footer[2])
    ask(len(footer.get(7, [])) == len(columns), "column orders")
    table = pq.read_table(path)
    for names, element, above in columns:
        for part in [element] + above if has_ids else []:
            ask(9 in part or part[4] == b"list", f"{names}: no field id")
        if above:
            ask([group[4] for group in above[1:]] == [b"list"] and names[-1] == "element", f"{names}: no list of three levels")
            ask(above[1][3] == 2 and element[3] == 0, f"{names}: repetition")
    rows_before = 0
    for group in footer[4]:
        for (names, element, _), chunk in zip(columns, group[1]):
            meta, name = chunk[3], ".".join(names)
            kind = meta[1]
            said = {NAMES[encoding] for encoding in meta[2]}
            ask(meta[4] == ZSTD, f"{name}: codec {meta[4]}")
            begin = meta.get(11, meta[9])
            at, found, values, plain, entries = begin, set(), 0, 0, []
            while at < begin + meta[7]:
                reader = Compact(data, at)
                header = reader.struct()
                size = reader.at - at + header[3]
                plain += reader.at - at + header[2]
                ask(4 not in header, f"{name}: a page with a checksum that nobody asked for")
                if header[1] == DICTIONARY_PAGE:
                    ask(at == begin and 11 in meta, f"{name}: a dictionary after pages")
                    ask(header[7][2] == PLAIN, f"{name}: dictionary {NAMES[header[7][2]]}")
                    found.add("PLAIN")
                elif header[1] == DATA_PAGE:
                    page = header[5]
                    allowed = (PLAIN,) if kind == BOOLEAN else (PLAIN, RLE_DICTIONARY)
                    ask(page[2] in allowed, f"{name}: values {NAMES[page[2]]}")
                    ask(page[3] == RLE and page[4] == RLE, f"{name}: levels")
                    ask(page[2] != RLE_DICTIONARY or 11 in meta, f"{name}: no dictionary")
                    found |= {NAMES[page[2]], "RLE"}
                    values += page[1]
                    entries.append((at, size))
                    pages += 1
                else:
                    ask(False, f"{name}: page type {header[1]}")
                at += size
            ask(at == begin + meta[7], f"{name}: pages end at {at}")
            ask(plain == meta[6], f"{name}: {plain} of {meta[6]} bytes uncompressed")
            ask(values == meta[5], f"{name}: {values} of {meta[5]} values")
            ask(found == said, f"{name}: {sorted(found)} in pages, {sorted(said)} in the footer")
            encodings.setdefault(name, set()).update(found)
            # The offset index and the column index, against the rows.
            locations = Compact(data, chunk[4]).struct()[1]
            index = Compact(data, chunk[6]).struct()
            ask([(place[1], place[2]) for place in locations] == entries, f"{name}: offset index")
            firsts = [place[3] for place in locations] + [group[3]]
            column = table.column(names[0])
            chunk_nulls = 0
            for number in range(len(locations)):
                rows = column.slice(rows_before + firsts[number], firsts[number + 1] - firsts[number])
                if len(names) > 1:
                    lists = rows.to_pylist()
                    present = [stored(item, kind) for items in lists for item in items or []]
                    nulls = sum(1 for items in lists if not items)
                else:
                    all_values = numbers(rows).to_pylist()
                    present = [stored(value, kind) for value in all_values if value is not None]
                    nulls = len(all_values) - len(present)
                chunk_nulls += nulls
                ask(index[5][number] == nulls, f"{name}, page {number}: {index[5][number]} nulls of {nulls}")
                ask(index[1][number] == (not present), f"{name}, page {number}: null page {index[1][number]}")
                if index[1][number]:
                    continue
                sound = [value for value in present if not (isinstance(value, float) and math.isnan(value))]
                if sound:
                    low = bound(index[2][number], kind)
                    high = bound(index[3][number], kind)
                    least, greatest = min(sound), max(sound)
                    cut = kind == BYTE_ARRAY and max(len(least), len(greatest)) > 64
                    if cut and not name == "_source_uri":
                        ask(low <= least and high >= greatest, f"{name}, page {number}: bounds {low} {high}")
                        ask(least.startswith(low) and len(high) <= max(64, len(greatest)), f"{name}: bounds are wide")
                        high.decode(), low.decode()
                    else:
                        ask((low, high) == (least, greatest), f"{name}, page {number}: bounds {low} {high} of {least} {greatest}")
            statistics = meta.get(12, {})
            ask(statistics.get(3) == chunk_nulls, f"{name}: {statistics.get(3)} nulls of {chunk_nulls}")
            # An answer may have the former fields as well, with the same bounds.
            former = [statistics.get(field) for field in (1, 2)]
            sound = former == [None, None] or (not has_ids and former == [statistics.get(5), statistics.get(6)])
            ask((5 in statistics) == (6 in statistics) and sound, f"{name}: bounds")
        rows_before += group[3]
    ask(rows_before == footer[3] == table.num_rows, "rows")
    created = footer.get(6, b"").decode()
    return {"file": path, "pages": pages, "created_by": created, "rows": rows_before,
            "encodings": {name: sorted(found) for name, found in encodings.items()}, "faults": faults}


has_ids = True
for argument in sys.argv[1:]:
    if argument == "--answers":
        has_ids = False
    else:
        print(json.dumps(check(argument, has_ids)))
