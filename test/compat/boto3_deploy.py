"""What set-up programs and deploy scripts of others call before they make an image. Fails with a traceback."""

import json
import os
from datetime import datetime, timedelta, timezone

import boto3
from botocore.exceptions import ClientError

ACCOUNT = os.environ["ACCOUNT_ID"]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}
BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

iam = boto3.client("iam")
s3 = boto3.client("s3")
logs = boto3.client("logs")


def statement(actions, resource):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]}


def ensure_role(name, policies):
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(TRUST),
            Tags=[{"Key": "by", "Value": "deploy"}],
        )["Role"]
        iam.get_waiter("role_exists").wait(RoleName=name)
    assert role["AssumeRolePolicyDocument"] == TRUST, role
    for policy, document in policies.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        kept = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        assert kept == document, kept
    iam.attach_role_policy(
        RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )
    return role["Arn"]


def ensure_bucket(name):
    try:
        s3.head_bucket(Bucket=name)
    except ClientError:
        s3.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_REGION"]}
        )
        s3.get_waiter("bucket_exists").wait(Bucket=name)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=BLOCK)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}
            ]
        },
    )
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "by", "Value": "deploy"}]})
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"] == BLOCK
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"


def up():
    account = boto3.client("sts").get_caller_identity()["Account"]
    assert account == ACCOUNT, account
    ensure_bucket("deploy-artifacts")
    group = f"arn:aws:logs:*:{account}:log-group:/aws/lambda-microvms/*"
    write = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    build = ensure_role(
        "deploy-build",
        {
            "logs": statement(write, [group, f"{group}:*"]),
            "read": statement(["s3:GetObject", "s3:GetObjectVersion"], "arn:aws:s3:::deploy-artifacts/*"),
        },
    )
    ensure_role("deploy-run", {"logs": statement(write, group)})
    try:
        logs.create_log_group(logGroupName="/aws/lambda-microvms/deploy", tags={"by": "deploy"})
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    logs.put_retention_policy(logGroupName="/aws/lambda-microvms/deploy", retentionInDays=14)
    s3.put_object(Bucket="deploy-artifacts", Key="app.zip", Body=b"PK")
    microvms = boto3.client("lambda-microvms")
    base = microvms.list_managed_microvm_images()["items"][0]["imageArn"]
    names = [item["name"] for item in microvms.list_microvm_images()["items"]]
    if "deploy" not in names:
        microvms.create_microvm_image(
            name="deploy",
            baseImageArn=base,
            buildRoleArn=build,
            codeArtifact={"uri": "s3://deploy-artifacts/app.zip"},
        )


def down():
    for page in s3.get_paginator("list_object_versions").paginate(Bucket="deploy-artifacts"):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        if objects:
            gone = s3.delete_objects(Bucket="deploy-artifacts", Delete={"Objects": objects})
            assert "Errors" not in gone, gone
    s3.delete_bucket(Bucket="deploy-artifacts")
    for name in ["deploy-build", "deploy-run"]:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)
    assert iam.list_roles()["Roles"] == []
    logs.delete_log_group(logGroupName="/aws/lambda-microvms/deploy")


def others():
    for service, call, arguments in [
        ("dynamodb", "list_tables", {}),
        ("ec2", "describe_vpcs", {}),
        ("sns", "list_topics", {}),
        ("sqs", "list_queues", {}),
        ("cloudformation", "list_stacks", {}),
        ("cloudfront", "list_distributions", {}),
        ("route53", "list_hosted_zones", {}),
        ("apigateway", "get_rest_apis", {}),
        ("ecr", "describe_repositories", {}),
        ("ssm", "get_parameter", {"Name": "a"}),
    ]:
        try:
            getattr(boto3.client(service), call)(**arguments)
            raise AssertionError(f"{service} answered")
        except ClientError as error:
            message = error.response["Error"]["Message"]
            assert "is not offered here" in message, (service, error.response)
            assert error.response["ResponseMetadata"]["RetryAttempts"] == 0, (service, error.response)


def quotas():
    client = boto3.client("service-quotas")
    quota = client.get_service_quota(ServiceCode="lambda", QuotaCode="L-CD1C0CC4")["Quota"]
    assert quota["Value"] > 0 and quota["Unit"] == "Gigabytes", quota
    pages = client.get_paginator("list_service_quotas").paginate(ServiceCode="lambda")
    assert "L-B430C318" in [quota["QuotaCode"] for page in pages for quota in page["Quotas"]]
    try:
        client.get_service_quota(ServiceCode="lambda", QuotaCode="L-00000000")
        raise AssertionError("it is there")
    except client.exceptions.NoSuchResourceException:
        pass


def metrics():
    client = boto3.client("cloudwatch")
    end = datetime.now(timezone.utc)
    found = client.get_metric_statistics(
        Namespace="AWS/LambdaMicroVMs",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "MicrovmId", "Value": "microvm-1"}],
        StartTime=end - timedelta(minutes=30),
        EndTime=end,
        Period=60,
        Statistics=["Average"],
    )
    [point] = found["Datapoints"]
    assert abs(point["Average"] - 10) < 1 and point["Timestamp"].tzinfo is not None, found
    try:
        client.put_metric_data(Namespace="mine", MetricData=[{"MetricName": "a", "Value": 1}])
        raise AssertionError("it was taken")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidAction", error.response


# The second time everything is there.
up()
up()
down()
metrics()
quotas()
others()
