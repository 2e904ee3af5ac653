"""Runs moto's S3 server for the tests, on a free port of the loopback interface, until standard input ends.

The first line of standard output is a JSON object: the endpoint, and the keys of a user who may do everything in the bucket
`backups` and of one who may only read. Requests must be signed by one of them, and moto checks the signature.
"""

import json
import logging
import sys
import urllib.request

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "backups"
REGION = "eu-central-1"
READING = ["s3:ListBucket", "s3:GetObject"]


def user(endpoint: str, name: str, actions: list[str]) -> dict[str, str]:
    iam = boto3.client("iam", endpoint_url=endpoint, **anybody())
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="backups", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def anybody() -> dict[str, str]:
    """Keys for the time before signatures are checked."""
    return {"region_name": REGION, "aws_access_key_id": "setup", "aws_secret_access_key": "setup"}


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.client("s3", endpoint_url=endpoint, **anybody())
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    writer = user(endpoint, "writer", ["s3:*"])
    reader = user(endpoint, "reader", READING)
    # From here on every request is checked.
    plain = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset-auth", b"0", plain)).close()
    found = {"endpoint": endpoint, "region": REGION, "bucket": BUCKET, "writer": writer, "reader": reader}
    print(json.dumps(found), flush=True)
    sys.stdin.read()
    server.stop()


main()
