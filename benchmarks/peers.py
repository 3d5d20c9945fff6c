"""What trailscan is measured against, each as a process of its own: `python -m benchmarks.peers NAME ARGUMENT...`."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor

FIELDS = {
    "eventVersion": "VARCHAR",
    "userIdentity": "JSON",
    "eventTime": "TIMESTAMP",
    "eventSource": "VARCHAR",
    "eventName": "VARCHAR",
    "awsRegion": "VARCHAR",
    "sourceIPAddress": "VARCHAR",
    "userAgent": "VARCHAR",
    "errorCode": "VARCHAR",
    "errorMessage": "VARCHAR",
    "requestParameters": "JSON",
    "responseElements": "JSON",
    "additionalEventData": "JSON",
    "requestID": "VARCHAR",
    "eventID": "VARCHAR",
    "readOnly": "BOOLEAN",
    "resources": "JSON",
    "eventType": "VARCHAR",
    "managementEvent": "BOOLEAN",
    "recipientAccountId": "VARCHAR",
    "eventCategory": "VARCHAR",
    "sharedEventID": "VARCHAR",
    "vpcEndpointId": "VARCHAR",
    "tlsDetails": "JSON",
    "serviceEventDetails": "JSON",
}
SESSIONS = """SELECT event_time, event_name, who, source_ip_address, target, session_id, result
              FROM evidence WHERE event_name = 'StartSession' ORDER BY event_time, event_id"""


def _records(folder: str) -> str:
    struct = "STRUCT(" + ",".join(f'"{name}" {kind}' for name, kind in FIELDS.items()) + ")[]"
    source = f"read_json('{folder}/**/*.json.gz', columns={{Records: '{struct}'}}, maximum_object_size=100000000)"
    return f"(SELECT unnest(Records) AS r FROM {source})"


def read_json_load(folder: str, database: str) -> None:
    """DuckDB's own reader into a table with the same columns."""
    import duckdb

    if os.path.exists(database):
        os.remove(database)
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE TABLE events AS SELECT r.* FROM {_records(folder)}").fetchall()


def read_json_query(folder: str) -> None:
    """DuckDB's own reader, filtered by name."""
    import duckdb

    columns = "r.eventTime, r.eventName, r.userIdentity, r.requestParameters"
    query = f"SELECT {columns} FROM {_records(folder)} WHERE r.eventName = 'StartSession'"
    print(len(duckdb.connect().execute(query).fetchall()))


def inflate(folder: str) -> None:
    """Only inflate every object, with a process for each processor."""
    paths = [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names]
    jobs = os.cpu_count() or 1
    with ProcessPoolExecutor(jobs) as pool:
        print(sum(pool.map(_inflate, [paths[start::16] for start in range(16)])))


def _inflate(paths: list[str]) -> int:
    from isal import isal_zlib

    total = 0
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            data = file.read()
        size = int.from_bytes(data[-4:], "little")
        total += len(isal_zlib.decompressobj(31).decompress(data, size + 64))
    return total


def list_objects(endpoint: str) -> None:
    """Only list a bucket."""
    import boto3

    pages = boto3.client("s3", endpoint_url=endpoint).get_paginator("list_objects_v2").paginate(Bucket="bucket")
    print(sum(len(page.get("Contents", ())) for page in pages))


def bare_sql(database: str) -> None:
    """A bare process that runs the query's SQL, and no more."""
    import duckdb

    with duckdb.connect(database, read_only=True) as connection:
        for row in connection.execute(SESSIONS).fetchall():
            print(*row)


if __name__ == "__main__":
    {peer.__name__: peer for peer in (read_json_load, read_json_query, inflate, list_objects, bare_sql)}[sys.argv[1]](
        *sys.argv[2:]
    )
