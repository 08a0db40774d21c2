"""Compares a lake's description of its curated tables with the contracts, read as plain YAML.

The argument is a JSON object:
    contracts   folder of the contracts
    api         URL of the HTTP API; or
    glue        {endpoint, region, database}
The answer is {"compared": {dataset: columns}, "different": [what differs]}.
"""

import json
import pathlib
import sys
import urllib.request

import yaml

# A contract's physical types as Glue spells them; the others are spelled alike.
GLUE_TYPES = {"timestamptz": "timestamp"}


def of_api(url):
    def get(path):
        with urllib.request.urlopen(f"{url}{path}") as answer:
            return json.load(answer)

    described = {table["table"]: table["description"] for table in get("/tables")["tables"]}

    def read(dataset):
        table = get(f"/tables/curated.{dataset}")
        return described[f"curated.{dataset}"], table["columns"], table["contract"]

    return read


def of_glue(endpoint, region, database):
    import boto3

    client = boto3.client(
        "glue", endpoint_url=endpoint, region_name=region, aws_access_key_id="test", aws_secret_access_key="test"
    )

    def read(dataset):
        table = client.get_table(DatabaseName=database, Name=dataset)["Table"]
        columns = [
            {"name": each["Name"], "type": each["Type"], "description": each.get("Comment", "")}
            for each in table["StorageDescriptor"]["Columns"]
        ]
        return table.get("Description", ""), columns, None

    return read


def protection(column):
    custom = column.get("customProperties", [])
    return next((each["value"] for each in custom if each["property"] == "protection"), None)


def compare(contract, described, columns, stated, types):
    """What differs, and how many columns were looked at."""
    different = []

    def expect(what, found, expected):
        if found != expected:
            different.append(f"{contract['name']}: {what} is {found!r}, not {expected!r}")

    if stated is not None:
        expect("the contract", stated, {key: contract[key] for key in ("name", "version")})
    schema = contract["schema"][0]
    expect("the description", described, contract["description"]["purpose"])
    names = [column["name"] for column in schema["properties"]]
    expect("the columns", [column["name"] for column in columns][: len(names)], names)
    rest = columns[len(names) :]
    expect("every column after them a system column", [each for each in rest if each["name"][0] != "_"], [])
    for column in rest:
        if stated is not None:
            said = [column[key] for key in ("primary_key", "classification", "protection")]
            expect(f"what the contract says about {column['name']}", said, [False, None, None])
    for wanted, column in zip(schema["properties"], columns):
        name = wanted["name"]
        expect(f"the description of {name}", column["description"], wanted["description"])
        if "required" in column:
            expect(f"required of {name}", column["required"], wanted.get("required", False))
        if stated is not None:
            expect(f"the class of {name}", column["classification"], wanted.get("classification"))
            expect(f"the protection of {name}", column["protection"], protection(wanted))
            expect(f"the key with {name}", column["primary_key"], wanted.get("primaryKey", False))
        # A protection may change the type: an address becomes a pseudonym, a day its year.
        if protection(wanted) is None:
            physical = wanted["physicalType"]
            expect(f"the type of {name}", column["type"], types.get(physical, physical))
    return different, len(names)


def main(request):
    read, types = (of_api(request["api"]), {}) if "api" in request else (of_glue(**request["glue"]), GLUE_TYPES)
    compared, different = {}, []
    for path in sorted(pathlib.Path(request["contracts"]).glob("*.odcs.yaml")):
        contract = yaml.safe_load(path.read_text(encoding="utf-8"))
        found, compared[contract["name"]] = compare(contract, *read(contract["name"]), types)
        different += found
    return {"compared": compared, "different": different}


print(json.dumps(main(json.loads(sys.argv[1]))))
