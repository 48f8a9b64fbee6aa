// SES's bounces in SNS in SQS into DynamoDB, as they are usually written for Node: a transaction of two items per recipient, so that
// an event that comes again counts once.
import { DynamoDBClient, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";

const table = process.env.LEADLIGHT_TABLE;
const client = new DynamoDBClient();

async function record({ body }) {
  const envelope = JSON.parse(body);
  const { bounce } = JSON.parse(envelope.Message);
  for (const { emailAddress } of bounce?.bouncedRecipients ?? []) {
    const address = emailAddress.toLowerCase();
    const once = {
      TableName: table,
      Item: { pk: { S: `acme#event#${envelope.MessageId}#${address}` }, sk: { S: "event" }, expires_at: { N: "1999999999" } },
      ConditionExpression: "attribute_not_exists(pk)",
    };
    const status = {
      TableName: table,
      Key: { pk: { S: `acme#address#${address}` }, sk: { S: "status" } },
      UpdateExpression: "SET #s = :s, firstSeen = if_not_exists(firstSeen, :t), lastSeen = :t ADD bounces :one",
      ExpressionAttributeNames: { "#s": "status" },
      ExpressionAttributeValues: { ":s": { S: bounce.bounceType }, ":t": { S: bounce.timestamp }, ":one": { N: "1" } },
    };
    try {
      await client.send(new TransactWriteItemsCommand({ TransactItems: [{ Put: once }, { Update: status }] }));
    } catch (error) {
      if (error.CancellationReasons?.[0]?.Code !== "ConditionalCheckFailed") throw error;
    }
  }
}

export async function handler({ Records }) {
  const done = await Promise.allSettled(Records.map(record));
  const failed = Records.filter((_, place) => done[place].status === "rejected");
  return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
}
