"""Glue: one table call at a time, and the versions of a table.

MiniStack answers each Glue call on its own thread, and `UpdateTable` compares `VersionId` and then
writes: two writers that name the same version could both succeed, and one commit would be lost. AWS
refuses one of them.

AWS keeps each version of a table (unless `SkipArchive` is set) and lists them, newest first;
MiniStack has neither `GetTableVersions` nor `GetTableVersion`.
"""

import copy
import functools
import json
import threading

from ministack.core.responses import AccountRegionScopedDict, error_response_json, json_response
from ministack.services import glue

_lock = threading.Lock()
_versions = AccountRegionScopedDict()  # "database/table" -> the table as it was, oldest first


def close():
    create, update, delete, delete_many = (
        glue._create_table,
        glue._update_table,
        glue._delete_table,
        glue._batch_delete_table,
    )

    def create_table(data):
        response = create(data)
        if response[0] == 200:
            _keep(data, [])
        return response

    def update_table(data):
        earlier = [] if data.get("SkipArchive") else _versions.get(_key(data, data["TableInput"]["Name"]), [])
        response = update(data)
        if response[0] == 200:
            _keep(data, earlier)
        return response

    def delete_table(data):
        _versions.pop(_key(data, data.get("Name")), None)
        return delete(data)

    def batch_delete_table(data):
        for name in data.get("TablesToDelete", []):
            _versions.pop(_key(data, name), None)
        return delete_many(data)

    glue._create_table = _one_at_a_time(create_table)
    glue._update_table = _one_at_a_time(update_table)
    glue._delete_table = _one_at_a_time(delete_table)
    glue._batch_delete_table = _one_at_a_time(batch_delete_table)
    glue._get_table = _one_at_a_time(glue._get_table)
    glue._get_tables = _one_at_a_time(glue._get_tables)
    _add_actions(
        {
            "GetTableVersions": _one_at_a_time(_get_table_versions),
            "GetTableVersion": _one_at_a_time(_get_table_version),
        }
    )


def _one_at_a_time(action):
    @functools.wraps(action)
    def locked(data):
        with _lock:
            return action(data)

    return locked


def _key(data, name):
    return f"{data.get('DatabaseName')}/{name}"


def _keep(data, earlier):
    key = _key(data, data["TableInput"]["Name"])
    _versions[key] = [*earlier, copy.deepcopy(glue._tables[key])]


def _get_table_versions(data):
    found = _versions.get(_key(data, data.get("TableName")))
    if found is None:
        return _missing(data)
    return json_response({"TableVersions": [_version(table) for table in reversed(found)]})


def _get_table_version(data):
    wanted = data.get("VersionId")
    for table in reversed(_versions.get(_key(data, data.get("TableName")), [])):
        if wanted in (None, table["VersionId"]):
            return json_response({"TableVersion": _version(table)})
    return _missing(data)


def _version(table):
    return {"Table": table, "VersionId": table["VersionId"]}


def _missing(data):
    return error_response_json(
        "EntityNotFoundException", f"Table {data.get('TableName')} not found in {data.get('DatabaseName')}"
    )


def _add_actions(actions):
    """Answers the additional actions; all others are passed on."""
    handle = glue._handle_request_sync

    def handle_more(method, path, headers, body, query_params):
        action = headers.get("x-amz-target", "").split(".")[-1]
        if action in actions:
            return actions[action](json.loads(body or b"{}"))
        return handle(method, path, headers, body, query_params)

    glue._handle_request_sync = handle_more
