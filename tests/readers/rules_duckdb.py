"""Computes the values of rules with DuckDB and Python's standard library.

Takes a JSON list of requests {"file": NDJSON, "columns": {name: DuckDB type}, "others": NDJSON or null,
"other_columns": {...}, "checks": [{"id", "kind", "column", arguments…}]} on standard input, prints a JSON
list of {"values": {id: number or null}, "profile": {column: {…}}}.
"""

import ipaddress
import json
import re
import sys

import duckdb

SENTINELS = ["-", "--", ".", "?", "n/a", "n.a.", "na", "nan", "nil", "none", "null", "unknown"]
EMAIL = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")


def quoted(values):
    return ", ".join("'" + str(value).replace("'", "''") + "'" for value in values)


def blank(column):
    return f"(regexp_full_match({column}, '\\s*'))"


def sentinel(column):
    return f"(lower(trim({column})) IN ({quoted(SENTINELS)}) AND NOT {blank(column)})"


class Luhn:
    CARD = re.compile(r"(?:^|[^0-9A-Za-z.])([0-9](?:[ -]?[0-9]){12,18})(?:$|[^0-9A-Za-z])")

    @classmethod
    def found(cls, text):
        for match in cls.CARD.finditer(text):
            digits = [int(sign) for sign in match.group(1) if sign.isdigit()]
            total = 0
            for place, digit in enumerate(reversed(digits)):
                if place % 2 == 1:
                    digit = digit * 2
                    if digit > 9:
                        digit -= 9
                total += digit
            if total % 10 == 0 and len(set(digits)) > 1:
                return True
        return False


def has_ip(text):
    for part in re.findall(r"(?:(?<![0-9A-Za-z./])|(?<=//))(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z]|\.[0-9])", text):
        try:
            ipaddress.IPv4Address(part)
            return True
        except ValueError:
            pass
    for part in re.findall(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?![0-9A-Za-z:.])", text):
        try:
            address = ipaddress.IPv6Address(part.rstrip("."))
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified:
            return True
    return False


PERSONAL = {"email": lambda text: bool(EMAIL.search(text)), "card": Luhn.found, "ip": has_ip}


class Lake:
    def __init__(self, request):
        self.db = duckdb.connect()
        self.request = request
        self.load("t", request["file"], request["columns"])
        if request.get("others"):
            self.load("o", request["others"], request["other_columns"])

    def load(self, name, path, columns):
        kinds = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
        self.db.execute(
            f"CREATE TABLE {name} AS SELECT * FROM read_json('{path}', format='newline_delimited', columns={{{kinds}}})"
        )

    def one(self, sql):
        value = self.db.execute(sql).fetchone()[0]
        return None if value is None else float(value)

    def where(self, condition):
        return self.one(f"SELECT count(*) FROM t WHERE {condition}")

    def measure(self, check):
        kind, c = check["kind"], check.get("column")
        if kind == "nullValues":
            return self.where(f"{c} IS NULL")
        if kind == "missingValues":
            return self.where(f"{c} IS NULL OR {c} IN ({quoted(check['values'])})")
        if kind == "blankValues":
            return self.where(blank(c))
        if kind == "completeness":
            text = self.request["columns"][c] == "VARCHAR"
            missing = f"{c} IS NULL OR {blank(c)} OR {sentinel(c)}" if text else f"{c} IS NULL"
            return self.one(f"SELECT 100.0 * count(*) FILTER (NOT ({missing})) / nullif(count(*), 0) FROM t")
        if kind == "validValues":
            return self.where(f"{c}::VARCHAR NOT IN ({quoted(check['values'])})")
        if kind == "forbiddenValues":
            return self.where(f"{c}::VARCHAR IN ({quoted(check['values'])})")
        if kind == "pattern":
            return self.where(f"NOT regexp_matches({c}, '{check['pattern']}')")
        if kind == "minLength":
            return self.where(f"length({c}) < {check['bound']}")
        if kind == "maxLength":
            return self.where(f"length({c}) > {check['bound']}")
        if kind in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            sign = {"minimum": "<", "maximum": ">", "exclusiveMinimum": "<=", "exclusiveMaximum": ">="}[kind]
            return self.where(f"{c} {sign} {check['bound']}")
        if kind == "multipleOf":
            return self.where(f"{c} % {check['bound']} <> 0")
        if kind == "dataType":
            return self.where(f"NOT regexp_full_match({c}, '[-+]?[0-9]+')")
        if kind == "duplicateValues" and c:
            return self.one(f"SELECT count({c}) - count(DISTINCT {c}) FROM t")
        if kind == "duplicateValues":
            columns = check["columns"]
            present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
            return self.one(
                f"SELECT (SELECT count(*) FROM t WHERE {present}) - (SELECT count(*) FROM "
                f"(SELECT DISTINCT {', '.join(columns)} FROM t WHERE {present}))"
            )
        if kind == "distinctCount":
            return self.one(f"SELECT count(DISTINCT {c}) FROM t")
        if kind == "uniquenessRatio":
            return self.one(f"SELECT count(DISTINCT {c}) / nullif(count({c}), 0) FROM t")
        if kind in ("min", "max", "sum"):
            return self.one(f"SELECT {kind}({c}) FROM t")
        if kind == "mean":
            return self.one(f"SELECT avg({c}) FROM t")
        if kind == "standardDeviation":
            return self.one(f"SELECT stddev_samp({c}) FROM t")
        if kind in ("quantile", "median"):
            return self.one(f"SELECT quantile_cont({c}::DOUBLE, {check.get('p', 0.5)}) FROM t")
        if kind == "entropy":
            return self.one(f"SELECT CASE WHEN count({c}) > 0 THEN entropy({c}) END FROM t WHERE {c} IS NOT NULL")
        if kind == "distribution":
            total = self.where(f"{c} IS NOT NULL")
            if not total:
                return None
            shares = check["shares"]
            named = {name: self.where(f"{c}::VARCHAR = '{name}'") / total for name in shares}
            apart = sum(abs(named[name] - share) for name, share in shares.items())
            return (apart + abs((1 - sum(named.values())) - (1 - sum(shares.values())))) / 2
        if kind == "comparison":
            return self.where(f"NOT ({c} {check['operator']} {check['other']})")
        if kind == "rowSum":
            return self.where(f"{c} <> {' + '.join(check['plus'])}")
        if kind == "outlier":
            return self.outlier(c, check["method"], check["limit"])
        if kind == "personalData":
            texts = self.db.execute(f"SELECT {c} FROM t WHERE {c} IS NOT NULL").fetchall()
            return float(sum(any(PERSONAL[name](text) for name in check["find"]) for (text,) in texts))
        if kind == "rowCount":
            return self.where("true")
        if kind == "columnCount":
            keys = set()
            with open(self.request["file"], encoding="utf-8") as file:
                for line in file:
                    keys.update(json.loads(line))
            return float(len(keys))
        if kind == "reference":
            return self.where(f"{c} IS NOT NULL AND {c} NOT IN (SELECT {check['to']} FROM o WHERE {check['to']} IS NOT NULL)")
        if kind == "rowCountMatch":
            return self.one("SELECT (SELECT count(*) FROM t) - (SELECT count(*) FROM o)")
        if kind == "groupSum":
            return self.one(
                f"SELECT count(*) FROM t LEFT JOIN (SELECT {check['by']} AS group_key, sum({check['of']}) AS group_sum FROM o "
                f"WHERE {check['by']} IS NOT NULL GROUP BY ALL) ON group_key = {check['key']} "
                f"WHERE {c} IS NOT NULL AND {check['key']} IS NOT NULL AND {c} <> coalesce(group_sum, 0)"
            )
        if kind == "sql":
            return self.one(check["query"])
        raise ValueError(f"no measure for {kind}")

    def outlier(self, c, method, limit):
        if self.where(f"{c} IS NOT NULL") < 10:
            return 0.0
        x = f"{c}::DOUBLE"
        median = self.one(f"SELECT quantile_cont({x}, 0.5) FROM t")
        if method == "mad":
            mad = self.one(f"SELECT quantile_cont(abs({x} - {median}), 0.5) FROM t")
            if mad > 0:
                return self.where(f"0.6745 * abs({x} - {median}) / {mad} > {limit}")
            mean = self.one(f"SELECT avg(abs({x} - {median})) FROM t")
            return self.where(f"abs({x} - {median}) / (1.253314 * {mean}) > {limit}") if mean > 0 else 0.0
        if method == "iqr":
            low, high = (self.one(f"SELECT quantile_cont({x}, {p}) FROM t") for p in (0.25, 0.75))
            reach = limit * (high - low)
            return self.where(f"{x} < {low - reach} OR {x} > {high + reach}") if reach > 0 else 0.0
        return self.where(f"{x} > {limit * median}") if median > 0 else 0.0

    def profile(self):
        found = {}
        for column, kind in self.request["columns"].items():
            text = kind == "VARCHAR"
            row = {
                "rows": self.where("true"),
                "nulls": self.where(f"{column} IS NULL"),
                "blanks": self.where(blank(column)) if text else 0,
                "sentinels": self.where(sentinel(column)) if text else 0,
            }
            if kind.startswith(("BIGINT", "DECIMAL", "DOUBLE")):
                for name, function in (("min", "min"), ("max", "max"), ("sum", "sum"), ("mean", "avg")):
                    row[name] = self.one(f"SELECT {function}({column}) FROM t")
            found[column] = row
        return found


answers = []
for request in json.load(sys.stdin):
    lake = Lake(request)
    answers.append(
        {"values": {check["id"]: lake.measure(check) for check in request["checks"]}, "profile": lake.profile()}
    )
print(json.dumps(answers))
