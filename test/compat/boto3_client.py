"""boto3 against a server that the environment names, as anyone's program uses it. Prints one JSON line a check."""

import json
import os
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ACCOUNT = os.environ["ACCOUNT_ID"]
REGION = os.environ["AWS_REGION"]
BUCKET = f"dormouse-artifacts-{ACCOUNT}"
BASE = f"arn:aws:lambda:{REGION}:aws:microvm-image:al2023-1"
CONFIGURATION = {
    "baseImageArn": BASE,
    "buildRoleArn": f"arn:aws:iam::{ACCOUNT}:role/build",
    "codeArtifact": {"uri": f"s3://{BUCKET}/app.zip"},
}

microvms = boto3.client("lambda-microvms")
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
checks = []


def check(function):
    checks.append(function)
    return function


def code_of(call, **arguments):
    """The code, the status and the body of the error that a call ends with."""
    try:
        call(**arguments)
    except ClientError as error:
        response = error.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response
    raise AssertionError(f"{call} succeeded")


def session_keys():
    keys = boto3.client("sts").get_session_token()["Credentials"]
    return keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]


@check
def microvms_every_operation():
    created = microvms.create_microvm_image(name="boto", tags={"team": "a"}, **CONFIGURATION)
    image = created["imageArn"]
    assert created["state"] == "CREATING" and created["imageVersion"] == "1.0", created
    assert microvms.update_microvm_image(imageIdentifier=image, **CONFIGURATION)["imageVersion"] == "2.0"
    assert microvms.get_microvm_image(imageIdentifier=image)["name"] == "boto"
    version = microvms.get_microvm_image_version(imageIdentifier=image, imageVersion="1.0")
    assert version["status"] == "ACTIVE" and version["createdAt"].tzinfo is not None, version
    microvms.update_microvm_image_version(imageIdentifier=image, imageVersion="1.0", status="INACTIVE")
    builds = microvms.list_microvm_image_builds(imageIdentifier=image, imageVersion="2.0")["items"]
    build = microvms.get_microvm_image_build(
        imageIdentifier=image, imageVersion="2.0", buildId=builds[0]["buildId"]
    )
    assert build["buildState"] == "SUCCESSFUL", build
    microvms.tag_resource(Resource=image, Tags={"stage": "b"})
    microvms.untag_resource(Resource=image, TagKeys=["team"])
    assert microvms.list_tags(Resource=image)["Tags"] == {"stage": "b"}
    managed = microvms.list_managed_microvm_images()["items"]
    assert [item["imageArn"] for item in managed] == [BASE]
    assert len(microvms.list_managed_microvm_image_versions(imageIdentifier=BASE)["items"]) == 2

    shell = f"arn:aws:lambda:{REGION}:aws:network-connector:aws-network-connector:SHELL_INGRESS"
    policy = {"maxIdleDurationSeconds": 60, "suspendedDurationSeconds": 60, "autoResumeEnabled": True}
    vm = microvms.run_microvm(
        imageIdentifier=image, idlePolicy=policy, ingressNetworkConnectors=[shell], clientToken="once"
    )
    again = microvms.run_microvm(
        imageIdentifier=image, idlePolicy=policy, ingressNetworkConnectors=[shell], clientToken="once"
    )
    assert vm["microvmId"] == again["microvmId"] and vm["idlePolicy"] == policy
    name = {"microvmIdentifier": vm["microvmId"]}
    microvms.suspend_microvm(**name)
    assert microvms.get_microvm(**name)["state"] == "SUSPENDED"
    microvms.resume_microvm(**name)
    token = microvms.create_microvm_auth_token(
        expirationInMinutes=5, allowedPorts=[{"port": 8080}, {"range": {"startPort": 1, "endPort": 9}}], **name
    )
    assert "X-aws-proxy-auth" in token["authToken"], token
    microvms.create_microvm_shell_auth_token(expirationInMinutes=5, **name)
    microvms.terminate_microvm(**name)
    assert microvms.get_microvm(**name)["stateReason"] == "Success."
    assert microvms.delete_microvm_image_version(imageIdentifier=image, imageVersion="1.0")["state"] == "DELETING"
    assert microvms.delete_microvm_image(imageIdentifier=image)["state"] == "DELETING"


@check
def microvms_paginators():
    image = microvms.create_microvm_image(name="pages", **CONFIGURATION)["imageArn"]
    started = {microvms.run_microvm(imageIdentifier=image)["microvmId"] for _ in range(5)}
    for operation in sorted(
        ["list_microvms", "list_microvm_images", "list_managed_microvm_images"]
    ):
        assert microvms.can_paginate(operation), operation
    pages = microvms.get_paginator("list_microvms").paginate(
        imageIdentifier=image, PaginationConfig={"PageSize": 2}
    )
    found = [item["microvmId"] for page in pages for item in page["items"]]
    assert len(found) == 5 and set(found) == started
    code, status, _ = code_of(microvms.list_microvms, nextToken="made up")
    assert (code, status) == ("ValidationException", 400)


@check
def microvms_errors():
    missing = "microvm-00000000-0000-4000-8000-000000000000"
    try:
        microvms.get_microvm(microvmIdentifier=missing)
        raise AssertionError("it is there")
    except microvms.exceptions.ResourceNotFoundException as error:
        assert error.response["Error"]["Message"] == f"MicroVM not found: {missing}", error.response
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    code, status, response = code_of(microvms.list_microvms, maxResults=51)
    assert (code, status) == ("ValidationException", 400)
    assert "Member must have value less than or equal to 50" in response["Error"]["Message"], response
    # Newer than the model that the server is made by: refused, because ignoring it would be a lie.
    code, status, response = code_of(
        microvms.create_microvm_image, name="sealed", kmsKeyIdentifier="alias/mine", **CONFIGURATION
    )
    assert (code, status) == ("ValidationException", 400) and "kmsKeyIdentifier" in response["Error"]["Message"]
    image = microvms.create_microvm_image(name="plain", **CONFIGURATION)["imageArn"]
    for call in [microvms.run_microvm, lambda **more: microvms.update_microvm_image(**CONFIGURATION, **more)]:
        assert code_of(call, imageIdentifier=image, kmsKeyIdentifier="alias/mine")[0] == "ValidationException"
    stranger = boto3.client("lambda-microvms", aws_access_key_id="AKIANOBODY", aws_secret_access_key="x")
    assert code_of(stranger.list_microvms)[:2] == ("UnrecognizedClientException", 403)
    unsigned = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL_LAMBDA_MICROVMS']}/2025-09-09/microvms")
    try:
        urllib.request.urlopen(unsigned)
        raise AssertionError("no signature was asked for")
    except urllib.error.HTTPError as error:
        assert error.code == 403


@check
def s3_files_of_many_parts():
    content = os.urandom(1 << 20) * 12
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    with tempfile.TemporaryDirectory() as directory:
        source, target = os.path.join(directory, "a"), os.path.join(directory, "b")
        with open(source, "wb") as file:
            file.write(content)
        s3.upload_file(source, BUCKET, "dir/large file+ü.bin", Config=config)
        head = s3.head_object(Bucket=BUCKET, Key="dir/large file+ü.bin")
        assert head["ContentLength"] == len(content) and head["ETag"].endswith('-3"'), head
        s3.download_file(BUCKET, "dir/large file+ü.bin", target, Config=config)
        with open(target, "rb") as file:
            assert file.read() == content
    part = s3.get_object(Bucket=BUCKET, Key="dir/large file+ü.bin", Range="bytes=5-9")
    assert part["Body"].read() == content[5:10]
    s3.copy_object(Bucket=BUCKET, Key="dir/copy", CopySource={"Bucket": BUCKET, "Key": "dir/large file+ü.bin"})
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="dir/", PaginationConfig={"PageSize": 1}
    )
    assert [item["Key"] for page in pages for item in page["Contents"]] == ["dir/copy", "dir/large file+ü.bin"]
    deleted = s3.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": "dir/copy"}, {"Key": "dir/large file+ü.bin"}]}
    )
    assert len(deleted["Deleted"]) == 2, deleted
    assert code_of(s3.get_object, Bucket=BUCKET, Key="dir/copy")[:2] == ("NoSuchKey", 404)


@check
def s3_presigned_and_checksums():
    # Unless it is told otherwise, boto3 presigns with signature version 2.
    s3.put_object(Bucket=BUCKET, Key="old way", Body=b"old")
    for client in [s3, boto3.Session(*session_keys()).client("s3")]:
        old = client.generate_presigned_url(
            "get_object",
            Params={"Bucket": BUCKET, "Key": "old way", "ResponseContentType": "text/x-old"},
            ExpiresIn=60,
        )
        answer = urllib.request.urlopen(old)
        assert answer.read() == b"old" and answer.headers["content-type"] == "text/x-old", answer.headers
    signer = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    put = signer.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "signed"}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(put, data=b"by url", method="PUT"))
    get = signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "signed"}, ExpiresIn=60)
    assert urllib.request.urlopen(get).read() == b"by url"
    try:
        urllib.request.urlopen(get.replace("/signed?", "/other?"))
        raise AssertionError("a URL is good for another object")
    except urllib.error.HTTPError as error:
        assert error.code == 403
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        s3.put_object(Bucket=BUCKET, Key="sum", Body=b"abc", ChecksumAlgorithm=algorithm)
        assert s3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")["Body"].read() == b"abc"
    s3.create_bucket(Bucket="boto-bucket")
    assert "boto-bucket" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    s3.delete_bucket(Bucket="boto-bucket")
    assert code_of(s3.head_bucket, Bucket="boto-bucket")[1] == 404


@check
def sts_sessions():
    sts = boto3.client("sts")
    assert sts.get_caller_identity()["Account"] == ACCOUNT
    role = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/worker", RoleSessionName="boto")
    keys = role["Credentials"]
    assert keys["Expiration"].timestamp() > time.time()
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert session.client("sts").get_caller_identity()["Arn"].endswith("assumed-role/worker/boto")
    session.client("lambda-microvms").list_microvms()
    assert sts.get_session_token()["Credentials"]["SessionToken"]


@check
def logs_reading_and_tailing():
    logs = boto3.client("logs")
    group = os.environ["LOG_GROUP"]
    names = [g["logGroupName"] for p in logs.get_paginator("describe_log_groups").paginate() for g in p["logGroups"]]
    assert group in names, names
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    stream = streams[0]["logStreamName"]
    assert logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, PaginationConfig={"PageSize": 2}
    )
    assert len([event for page in pages for event in page["events"]]) == 5
    missing = code_of(logs.describe_log_streams, logGroupName="/none")
    assert missing[0] == "ResourceNotFoundException", missing
    tail = logs.start_live_tail(
        logGroupIdentifiers=[f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"]
    )["responseStream"]
    print(json.dumps({"ready": "tail"}), flush=True)
    for event in tail:
        results = event.get("sessionUpdate", {}).get("sessionResults", [])
        if results:
            assert results[0]["message"] == "while you look", results
            tail.close()
            return


for function in checks:
    outcome = {"name": function.__name__.replace("_", " ")}
    try:
        function()
    except BaseException:
        outcome["problem"] = traceback.format_exc(limit=-3)
    print(json.dumps(outcome), flush=True)
sys.exit(0)
