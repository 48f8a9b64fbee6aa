//! The template passes, and each fault that is planted in a copy of it is found.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;

use super::{TEXT, Translated, check, check_briefly};
use crate::progress::Progress;
use crate::queue::QueueSettings;
use crate::stack::REVERIFICATIONS_EVERY;

/// A fault to plant.
struct Fault {
    what: &'static str,
    /// What stands in the template.
    there: &'static str,
    /// What is put in its place.
    instead: &'static str,
    /// What must be said of it.
    said: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "visibility below 6 × time-out",
        there: "VisibilityTimeout: 61",
        instead: "VisibilityTimeout: 60",
        said: "visibility of 60 s is below 61 s",
    },
    Fault {
        what: "a time-out that outgrows the visibility",
        there: "    MemorySize: 256\n    Timeout: 10",
        instead: "    MemorySize: 256\n    Timeout: 20",
        said: "is below 121 s",
    },
    Fault {
        what: "a wildcard action",
        there: "Action: dynamodb:Query",
        instead: "Action: dynamodb:*",
        said: "wildcard: FeedbackRole may dynamodb:*",
    },
    Fault {
        what: "a wildcard resource",
        there: "Action: dynamodb:GetItem\n                Resource: !GetAtt Table.Arn",
        instead: "Action: dynamodb:GetItem\n                Resource: \"*\"",
        said: "may dynamodb:GetItem on every resource",
    },
    Fault {
        what: "every stream of the deployment's AWS account",
        there: "Action: dynamodb:ListStreams\n                Resource: !Sub \"${Table.Arn}/stream/*\"",
        instead: "Action: dynamodb:ListStreams\n                Resource: \"*\"",
        said: "wildcard: ChangesRole may dynamodb:ListStreams on every resource",
    },
    Fault {
        what: "an action that IAM does not know",
        there: "Action: ses:SendEmail",
        instead: "Action: ses:SendMail",
        said: "SendMail",
    },
    Fault {
        what: "a missing environment variable",
        there: "        LEADLIGHT_ADDRESS_SECRET: !Sub \"{{resolve:secretsmanager:${AddressSecret}}}\"\n",
        instead: "",
        said: "LEADLIGHT_ADDRESS_SECRET is not set",
    },
    Fault {
        what: "an optional variable that nobody is given",
        there: "          LEADLIGHT_CONFIGURATION_SET: !Ref ConfigurationSet\n",
        instead: "",
        said: "LEADLIGHT_CONFIGURATION_SET is read and given to no function",
    },
    Fault {
        what: "a variable that nobody reads",
        there: "        LEADLIGHT_LOG: !Ref LogLevel",
        instead: "        LEADLIGHT_LOGS: !Ref LogLevel",
        said: "nothing reads LEADLIGHT_LOGS",
    },
    Fault {
        what: "an undeployed binary",
        there: "Binary: statuses",
        instead: "Binary: leads",
        said: "the binary statuses is not deployed",
    },
    Fault {
        what: "a function without a binary",
        there: "Binary: statuses",
        instead: "Binary: states",
        said: "there is no binary \"states\"",
    },
    Fault {
        what: "a table key that differs from the code's",
        there: "- { AttributeName: sk, AttributeType: S }\n      KeySchema:\n        - { AttributeName: pk, KeyType: HASH }\n        - { AttributeName: sk,",
        instead: "- { AttributeName: sort, AttributeType: S }\n      KeySchema:\n        - { AttributeName: pk, KeyType: HASH }\n        - { AttributeName: sort,",
        said: "KeySchema is",
    },
    Fault {
        what: "another attribute for expiry",
        there: "AttributeName: expires_at",
        instead: "AttributeName: ttl",
        said: "TimeToLiveSpecification",
    },
    Fault {
        what: "a table without a way back",
        there: "PointInTimeRecoveryEnabled: true",
        instead: "PointInTimeRecoveryEnabled: false",
        said: "PointInTimeRecoverySpecification",
    },
    Fault {
        what: "a queue policy open to other topics",
        there: "              ArnEquals: { aws:SourceArn: !Ref Notifications }",
        instead: "              ArnLike: { aws:SourceArn: \"arn:aws:sns:*:*:*\" }",
        said: "FeedbackQueuePolicy: the queue FeedbackQueue is open",
    },
    Fault {
        what: "a queue policy open to everybody",
        there: "            Principal: { Service: sns.amazonaws.com }",
        instead: "            Principal: \"*\"",
        said: "FeedbackQueuePolicy: the queue FeedbackQueue is open",
    },
    Fault {
        what: "batches that fail as a whole",
        there: "            FunctionResponseTypes: [ReportBatchItemFailures]\n",
        instead: "",
        said: "without ReportBatchItemFailures",
    },
    Fault {
        what: "changes that a short outage loses",
        there: "MaximumRetryAttempts: -1",
        instead: "MaximumRetryAttempts: 20",
        said: "ChangesTheTable: gives a record up after Some(20) tries",
    },
    Fault {
        what: "a batch larger than there is",
        there: "BatchSize: 100",
        instead: "BatchSize: 20000",
        said: "cfn-lint E",
    },
    Fault {
        what: "dead letters that go before they are seen",
        there: "MessageRetentionPeriod: 1209600",
        instead: "MessageRetentionPeriod: 345600",
        said: "no longer than the queue's",
    },
    Fault {
        what: "a dead-letter queue that nobody watches",
        there: "!GetAtt FeedbackDeadLetters.QueueName",
        instead: "!GetAtt FeedbackQueue.QueueName",
        said: "no alarm watches ApproximateNumberOfMessagesVisible FeedbackDeadLetters",
    },
    Fault {
        what: "an alarm after the review",
        there: "Threshold: 0.04",
        instead: "Threshold: 0.06",
        said: "is not before SES's 0.05",
    },
    Fault {
        what: "an event that is not read",
        there: "DELIVERY_DELAY, SUBSCRIPTION]",
        instead: "DELIVERY_DELAY, SUBSCRIPTION, OPEN]",
        said: "SES publishes",
    },
    Fault {
        what: "logs for ever",
        there: "      RetentionInDays: !Ref LogRetentionDays\n",
        instead: "",
        said: "is kept for ever",
    },
    Fault {
        what: "a function on another processor",
        there: "Architectures: [arm64]",
        instead: "Architectures: [x86_64]",
        said: "Architectures",
    },
    Fault {
        what: "statuses that writes",
        there: "        - PolicyName: statuses\n          PolicyDocument:\n            Version: \"2012-10-17\"\n            Statement:\n",
        instead: "        - PolicyName: statuses\n          PolicyDocument:\n            Version: \"2012-10-17\"\n            Statement:\n              - { Effect: Allow, Action: dynamodb:PutItem, Resource: !GetAtt Table.Arn }\n",
        said: "Statuses: only shows, and may dynamodb:PutItem",
    },
    Fault {
        what: "statuses that writes what it likes under the name of counting",
        there: "Resource: !GetAtt StatusesLogs.Arn",
        instead: "Resource: !GetAtt StatusesLogs.Arn\n              - { Effect: Allow, Action: dynamodb:UpdateItem, Resource: !GetAtt Table.Arn, Condition: { ForAllValues:StringLike: { dynamodb:LeadingKeys: [\"*#limit#*\", \"*#lead#*\"] } } }",
        said: "Statuses: only shows, and may dynamodb:UpdateItem",
    },
    Fault {
        what: "a topic that delivers by HTTPS without dead letters",
        there: "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt HttpsUndelivered.Arn\n",
        instead: "",
        said: "HttpsSubscription: what SNS cannot deliver is lost",
    },
    Fault {
        what: "dead letters of HTTPS open to other topics",
        there: "              ArnEquals: { aws:SourceArn: !Ref HttpsTopics }",
        instead: "              ArnEquals: { aws:SourceArn: [!Ref Notifications, \"arn:aws:sns:eu-central-1:123456789012:feedback\"] }",
        said: "HttpsUndeliveredPolicy: the queue HttpsUndelivered is open",
    },
    Fault {
        what: "keys of accounts for the feedback function",
        there: "                  ForAllValues:StringEquals: { dynamodb:Attributes: [pk, sk, policy] }\n                  StringEqualsIfExists: { dynamodb:Select: SPECIFIC_ATTRIBUTES }\n",
        instead: "",
        said: "may see the keys of accounts",
    },
    Fault {
        what: "keys of accounts for the function that verifies again",
        there: "              - Sid: ReadWhatIsDue",
        instead: "              - { Effect: Allow, Action: dynamodb:GetItem, Resource: !GetAtt Table.Arn }\n              - Sid: ReadWhatIsDue",
        said: "Reverifications: checks no tokens, and may see the keys of accounts",
    },
];

/// The template with a fault in it.
fn with(fault: &Fault) -> String {
    let Fault { what, there, .. } = fault;
    assert!(
        TEXT.contains(there),
        "{what}: {there:?} is not in the template"
    );
    TEXT.replacen(there, fault.instead, 1)
}

fn checked(templates: &[String]) -> Vec<Translated> {
    check(templates, &Progress::silent()).unwrap()
}

static CLEAN: LazyLock<Translated> = LazyLock::new(|| checked(&[TEXT.to_owned()]).remove(0));

#[test]
fn the_template_passes_every_rule() {
    let findings = &CLEAN.findings;
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn every_planted_fault_in_the_template_is_found() {
    // First without the slowest of the tools, and with it what that leaves.
    let templates: Vec<String> = FAULTS.iter().map(with).collect();
    let checked_briefly = check_briefly(&templates, &Progress::silent()).unwrap();
    let is_missed = |(fault, template): (&'static Fault, Translated)| {
        let is_found = template.findings.join("\n").contains(fault.said);
        (!is_found).then_some(fault)
    };
    let pairs = FAULTS.iter().zip(checked_briefly);
    let missed: Vec<&Fault> = pairs.filter_map(is_missed).collect();
    let templates: Vec<String> = missed.iter().map(|fault| with(fault)).collect();
    for (Fault { what, said, .. }, template) in missed.into_iter().zip(checked(&templates)) {
        let found = template.findings.join("\n");
        assert!(found.contains(said), "{what}: {said:?} is not in:\n{found}");
    }
}

#[test]
fn the_local_queue_is_set_as_the_template_says() {
    let resources = &CLEAN.resources;
    let number = |resource: &str, path: &str| {
        let found = resources[resource]["Properties"].pointer(path);
        found.and_then(Value::as_u64).unwrap()
    };
    let mapping = "FeedbackNotifications";
    let local = QueueSettings::default();
    assert_eq!(number(mapping, "/BatchSize"), u64::from(local.batch_size));
    let visibility = Duration::from_secs(number("FeedbackQueue", "/VisibilityTimeout"));
    assert_eq!(visibility, local.visibility_timeout);
    let receives = number("FeedbackQueue", "/RedrivePolicy/maxReceiveCount");
    assert_eq!(receives, u64::from(local.max_receives));
}

#[test]
fn the_local_schedule_is_that_of_the_template() {
    let resources = &CLEAN.resources;
    let every = &resources["ReverificationsEveryMinute"]["Properties"]["ScheduleExpression"];
    let minutes = REVERIFICATIONS_EVERY.as_secs() / 60;
    assert_eq!(*every, format!("rate({minutes} minute)"));
}
