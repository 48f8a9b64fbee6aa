"""SES's bounces in SNS in SQS into DynamoDB, as they are usually written for Python: a transaction of two items per recipient, so that
an event that comes again counts once."""

import json
import os

import boto3
from botocore.exceptions import ClientError

TABLE = os.environ["LEADLIGHT_TABLE"]
dynamodb = boto3.client("dynamodb")


def record(body):
    envelope = json.loads(body)
    bounce = json.loads(envelope["Message"]).get("bounce")
    for recipient in bounce["bouncedRecipients"] if bounce else []:
        address = recipient["emailAddress"].lower()
        once = {
            "TableName": TABLE,
            "Item": {
                "pk": {"S": f"acme#event#{envelope['MessageId']}#{address}"},
                "sk": {"S": "event"},
                "expires_at": {"N": "1999999999"},
            },
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        status = {
            "TableName": TABLE,
            "Key": {"pk": {"S": f"acme#address#{address}"}, "sk": {"S": "status"}},
            "UpdateExpression": "SET #s = :s, firstSeen = if_not_exists(firstSeen, :t), lastSeen = :t ADD bounces :one",
            "ExpressionAttributeNames": {"#s": "status"},
            "ExpressionAttributeValues": {
                ":s": {"S": bounce["bounceType"]},
                ":t": {"S": bounce["timestamp"]},
                ":one": {"N": "1"},
            },
        }
        try:
            dynamodb.transact_write_items(TransactItems=[{"Put": once}, {"Update": status}])
        except ClientError as error:
            reasons = error.response.get("CancellationReasons") or [{}]
            if reasons[0].get("Code") != "ConditionalCheckFailed":
                raise


def handler(event, context):
    failed = []
    for message in event["Records"]:
        try:
            record(message["body"])
        except Exception:  # whatever it was, the message is to come again
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}
