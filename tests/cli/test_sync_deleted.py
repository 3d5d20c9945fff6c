"""`trailscan sync --deleted`, against a versioned bucket."""

import boto3

from tests.cli.conftest import ACCESS_KEY, SECRET, run
from tests.support import world


def test_what_stands_behind_delete_markers_and_older_versions_are_fetched_on_demand(moto_url: str, tmp_path: object) -> None:
    s3 = boto3.client(
        "s3", endpoint_url=moto_url, region_name="us-east-1", aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET
    )
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    made = world.World(11)
    bodies = [world.object_bytes([made.record(world.START, "111122223333", "eu-west-1")]) for _ in range(3)]
    kept, gone = (world.key("111122223333", "eu-west-1", world.START, unique * 16) for unique in "kg")
    for key, body in ((kept, bodies[0]), (kept, bodies[1]), (kept, bodies[1]), (gone, bodies[2])):
        s3.put_object(Bucket="versions", Key=key, Body=body)
    s3.delete_object(Bucket="versions", Key=gone)
    sync = ("sync", "s3://versions/", "--endpoint-url", moto_url, "--archive", f"{tmp_path}/case", "--jobs", "1")
    plain = run(*sync)
    assert "1 listed = 1 fetched" in plain.err, plain.err
    ended = run(*sync, "--deleted")
    assert "3 listed = 1 held already + 2 fetched" in ended.err, ended.err
    assert ended.code == 3  # one key, two contents
    assert run("query", "--archive", f"{tmp_path}/case", "--count").out.strip() == "3"
    again = run(*sync, "--deleted")
    assert "3 listed = 3 held already" in again.err, again.err
    assert "1 object held is no longer in the bucket" in again.err
