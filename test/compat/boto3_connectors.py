"""boto3 and network connectors, and boto3 with what it finds at a metadata service. Fails with a traceback."""

import os
import sys

import boto3
from botocore.exceptions import ClientError

ACCOUNT = os.environ["ACCOUNT_ID"]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/operator"
EGRESS = {
    "SubnetIds": ["subnet-boto"],
    "NetworkProtocol": "IPv4",
    "AssociatedComputeResourceTypes": ["MicroVm"],
}


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("it succeeded")


def connectors():
    core = boto3.client("lambda-core")
    request = {
        "Name": "boto",
        "OperatorRole": ROLE,
        "Configuration": {"VpcEgressConfiguration": EGRESS},
        "Tags": {"team": "a"},
    }
    made = core.create_network_connector(**request)
    identifier = made["Id"]
    while core.get_network_connector(Identifier=identifier)["State"] == "PENDING":
        pass
    found = core.get_network_connector(Identifier=made["Arn"])
    assert found["State"] == "ACTIVE" and found["LastModified"].tzinfo is not None, found
    assert found["Configuration"]["VpcEgressConfiguration"] == EGRESS, found
    [item] = core.list_network_connectors(State="ACTIVE")["NetworkConnectors"]
    assert item["Name"] == "boto" and item["Type"] == "VPC_EGRESS", item
    same = core.update_network_connector(Identifier="boto", OperatorRole=ROLE)
    assert same["LastUpdateStatusReason"] == "No configuration changes detected", same

    assert code_of(core.create_network_connector, **request)[0] == "ResourceConflictException"
    unknown = {"VpcEgressConfiguration": {**EGRESS, "SubnetIds": ["subnet-none"]}}
    code, message = code_of(core.update_network_connector, Identifier="boto", Configuration=unknown)
    assert code == "InvalidParameterValueException" and "subnet-none" in message, (code, message)
    many = {"VpcEgressConfiguration": {**EGRESS, "SubnetIds": ["subnet-boto"] * 17}}
    assert code_of(core.update_network_connector, Identifier="boto", Configuration=many)[0] == "ValidationException"
    try:
        core.get_network_connector(Identifier="none")
        raise AssertionError("it is there")
    except core.exceptions.ResourceNotFoundException as error:
        assert error.response["Message"].startswith("Network connector not found for: arn:aws:lambda:"), error.response
        assert error.response["Message"].endswith(":network-connector:none"), error.response

    microvms = boto3.client("lambda-microvms")
    assert microvms.list_tags(Resource=made["Arn"])["Tags"] == {"team": "a"}
    assert core.delete_network_connector(Identifier=identifier)["State"] == "DELETING"


def metadata():
    session = boto3.Session()
    credentials = session.get_credentials()
    assert credentials.method == "iam-role", credentials.method
    print(session.client("sts").get_caller_identity()["Arn"])
    assert code_of(session.client("lambda-microvms").list_microvms)[0] == "AccessDeniedException"


{"connectors": connectors, "metadata": metadata}[sys.argv[1]]()
