//! The rules of our own: what no tool knows, because it lies between the template and the code, or between two resources.
//!
//! Figures about queues after the Lambda developer guide, *Using Lambda with Amazon SQS*, and the SQS developer guide, *dead-letter
//! queues*; those about reputation after the SES developer guide, *enforcement*.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use leadlight::feedback::{Published, parse};
use leadlight_functions::config::Settings;
use leadlight_functions::table::item::{EXPIRES_AT, PK, SK};
use serde_json::{Map, Value, json};

use crate::workspace;

/// How many times longer than the function may take a message stays hidden.
const VISIBILITY_FACTOR: u64 = 6;
/// The fewest tries before a message is given up: a throttled function uses some up.
const FEWEST_RECEIVES: u64 = 5;
/// How long an outage may last that loses no record of the stream, which keeps them for 24 hours.
const OUTAGE_S: u64 = 6 * 3_600;
/// What is read from the environment only off AWS.
const LOCAL_VARIABLES: [&str; 4] = [
    "LEADLIGHT_DNS",
    "LEADLIGHT_LOCAL_WEBHOOKS",
    "LEADLIGHT_SNS_ROOT",
    // Read by tests alone.
    crate::logs::FOLDER,
];
/// What Lambda sets by itself.
const LAMBDA_VARIABLES: [&str; 3] = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
/// Functions that only show, and may write nothing but how often they were asked.
const READERS: [&str; 3] = ["statuses", "verifications", "reputation"];
/// Functions that check no access token, and may not see the keys of an account.
const KEYLESS: [&str; 5] = [
    "feedback",
    "subscriber",
    "reverifications",
    "changes",
    "deliveries",
];
/// From here on SES puts an account under review: the share of mail that bounces, and that is complained of.
const REVIEWED: [(&str, f64); 2] = [
    ("Reputation.BounceRate", 0.05),
    ("Reputation.ComplaintRate", 0.001),
];

/// What is wrong with a translated template.
///
/// # Errors
/// When the sources or fixtures that it is held against cannot be read.
pub(super) fn judge(resources: &Map<String, Value>) -> anyhow::Result<Vec<String>> {
    let mut judge = Judge {
        resources,
        findings: Vec::new(),
    };
    judge.queues();
    judge.queue_policies();
    judge.stream();
    judge.table();
    judge.functions(&binaries()?);
    judge.environment(&variables(&workspace::root().join("functions/src"))?);
    judge.roles();
    judge.events(&events_read()?);
    judge.alarms();
    judge.logs();
    judge.widget();
    Ok(judge.findings)
}

struct Judge<'a> {
    resources: &'a Map<String, Value>,
    findings: Vec<String>,
}

impl<'a> Judge<'a> {
    fn object(&mut self, finding: String) {
        self.findings.push(finding);
    }

    fn require(&mut self, holds: bool, finding: impl FnOnce() -> String) {
        if !holds {
            self.object(finding());
        }
    }

    fn of(&self, kind: &'static str) -> Vec<(&'a str, &'a Value)> {
        let resources = self.resources.iter();
        resources
            .filter(|(_, resource)| resource.get("Type").is_some_and(|is| is == kind))
            .map(|(name, resource)| (name.as_str(), resource))
            .collect()
    }

    /// The property of the resource that an ARN or a reference names.
    fn named(&self, reference: &Value, path: &str) -> &'a Value {
        let name = name(reference);
        self.resources
            .get(name)
            .map_or(&Value::Null, |resource| property(resource, path))
    }

    /// From the queue to its function, and where messages go that it cannot take.
    fn queues(&mut self) {
        for (mapping, resource) in self.of("AWS::Lambda::EventSourceMapping") {
            let source = property(resource, "EventSourceArn");
            if !source.as_str().is_some_and(|arn| arn.contains(":sqs:")) {
                continue;
            }
            let timeout = number(self.named(property(resource, "FunctionName"), "Timeout"));
            let window = number(property(resource, "MaximumBatchingWindowInSeconds"));
            let needed = VISIBILITY_FACTOR * timeout + window;
            let visibility = number(self.named(source, "VisibilityTimeout"));
            self.require(visibility >= needed, || {
                format!("{mapping}: the queue's visibility of {visibility} s is below {needed} s, {VISIBILITY_FACTOR} times the function's time-out and the window")
            });
            let answers = property(resource, "FunctionResponseTypes");
            self.require(*answers == json!(["ReportBatchItemFailures"]), || {
                format!("{mapping}: a batch fails as a whole, without ReportBatchItemFailures")
            });
            let concurrency = property(resource, "ScalingConfig/MaximumConcurrency");
            self.require(!concurrency.is_null(), || {
                format!("{mapping}: no maximum concurrency")
            });
            let redrive = self.named(source, "RedrivePolicy");
            self.require(!redrive.is_null(), || {
                format!("{mapping}: its queue has no dead-letter queue")
            });
            let receives = number(field(redrive, "maxReceiveCount"));
            self.require(receives >= FEWEST_RECEIVES, || {
                format!(
                    "{mapping}: given up after {receives} receives, fewer than {FEWEST_RECEIVES}"
                )
            });
            let kept = number(self.named(source, "MessageRetentionPeriod"));
            let dead = field(redrive, "deadLetterTargetArn");
            let kept_dead = number(self.named(dead, "MessageRetentionPeriod"));
            self.require(kept_dead > kept, || {
                format!("{mapping}: dead letters are kept for {kept_dead} s, no longer than the queue's {kept} s, and their age counts from the first")
            });
        }
        for (name, resource) in self.of("AWS::SNS::Subscription") {
            let is_machine = ["sqs", "https"].contains(&text(property(resource, "Protocol")));
            let redrive = property(resource, "RedrivePolicy");
            self.require(!is_machine || !redrive.is_null(), || {
                format!("{name}: what SNS cannot deliver is lost")
            });
        }
    }

    /// A queue takes messages of the topic that is subscribed to it, or whose dead letters it holds, and of nobody else.
    fn queue_policies(&mut self) {
        let mut topics: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for (_, subscription) in self.of("AWS::SNS::Subscription") {
            let topic = property(subscription, "TopicArn");
            let endpoint = property(subscription, "Endpoint");
            let dead = property(subscription, "RedrivePolicy/deadLetterTargetArn");
            if property(subscription, "Protocol") == "sqs" {
                topics.entry(name(endpoint)).or_default().push(topic);
            }
            if !dead.is_null() {
                topics.entry(name(dead)).or_default().push(topic);
            }
        }
        let mut covered = BTreeSet::new();
        for (policy, resource) in self.of("AWS::SQS::QueuePolicy") {
            let statements = property(resource, "PolicyDocument/Statement");
            for queue in items(property(resource, "Queues")) {
                covered.insert(name(queue));
                let topics = topics.get(name(queue)).cloned().unwrap_or_default();
                for statement in items(statements) {
                    let sources = statement.pointer("/Condition/ArnEquals/aws:SourceArn");
                    let sources = sources.unwrap_or(&Value::Null);
                    let is_narrow = *field(statement, "Principal")
                        == json!({ "Service": "sns.amazonaws.com" })
                        && *field(statement, "Action") == json!("sqs:SendMessage")
                        && field(statement, "Condition")
                            .as_object()
                            .is_some_and(|it| it.len() == 1)
                        && items(sources).eq(topics.iter().copied());
                    self.require(is_narrow, || {
                        format!(
                            "{policy}: the queue {} is open to others than its topic",
                            name(queue)
                        )
                    });
                }
            }
        }
        for queue in topics.keys().filter(|queue| !covered.contains(*queue)) {
            self.object(format!("{queue}: its topic may not send to it"));
        }
    }

    /// What tells of changes is not given up before an outage ends, nor without anybody's notice.
    fn stream(&mut self) {
        for (mapping, resource) in self.of("AWS::Lambda::EventSourceMapping") {
            let function = name(property(resource, "FunctionName"));
            let function = self.resources.get(function).unwrap_or(&Value::Null);
            if binary(function) != "changes" {
                continue;
            }
            let tries = property(resource, "MaximumRetryAttempts").as_i64();
            let age = number(property(resource, "MaximumRecordAgeInSeconds"));
            self.require(tries == Some(-1) && age >= OUTAGE_S, || {
                format!("{mapping}: gives a record up after {tries:?} tries or {age} s, sooner than {OUTAGE_S} s")
            });
            let dead = property(resource, "DestinationConfig/OnFailure/Destination");
            self.require(!dead.is_null(), || {
                format!("{mapping}: what it gives up is lost")
            });
        }
    }

    /// The table as the code writes it, and nothing of it is lost by a slip.
    fn table(&mut self) {
        let attributes = json!([{ "AttributeName": PK, "AttributeType": "S" }, { "AttributeName": SK, "AttributeType": "S" }]);
        let keys = json!([{ "AttributeName": PK, "KeyType": "HASH" }, { "AttributeName": SK, "KeyType": "RANGE" }]);
        let expected = [
            ("AttributeDefinitions", attributes),
            ("KeySchema", keys),
            (
                "TimeToLiveSpecification",
                json!({ "AttributeName": EXPIRES_AT, "Enabled": true }),
            ),
            ("BillingMode", json!("PAY_PER_REQUEST")),
            (
                "StreamSpecification",
                json!({ "StreamViewType": "NEW_AND_OLD_IMAGES" }),
            ),
            (
                "PointInTimeRecoverySpecification",
                json!({ "PointInTimeRecoveryEnabled": true }),
            ),
            ("DeletionProtectionEnabled", json!(true)),
        ];
        let tables = self.of("AWS::DynamoDB::Table");
        self.require(tables.len() == 1, || "there must be one table".to_owned());
        for (table, resource) in tables {
            for (path, expected) in &expected {
                let found = property(resource, path);
                self.require(found == expected, || {
                    format!("{table}: {path} is {found}, not {expected} as the code has it")
                });
            }
            self.require(field(resource, "DeletionPolicy") == "Retain", || {
                format!("{table}: goes with the stack")
            });
        }
    }

    /// Every binary is deployed, every deployed function is built, each in the way that was measured and with a role of its own.
    fn functions(&mut self, binaries: &BTreeSet<String>) {
        let functions = self.of("AWS::Lambda::Function");
        let mut deployed = BTreeSet::new();
        let mut roles = BTreeSet::new();
        for (function, resource) in &functions {
            let binary = binary(resource);
            self.require(binaries.contains(binary), || {
                format!("{function}: there is no binary {binary:?} to deploy")
            });
            self.require(deployed.insert(binary.to_owned()), || {
                format!("{function}: the binary {binary} is deployed twice")
            });
            self.require(roles.insert(property(resource, "Role").to_string()), || {
                format!("{function}: shares its role")
            });
            let expected = [
                ("Runtime", json!("provided.al2023")),
                ("Architectures", json!(["arm64"])),
                ("Handler", json!("bootstrap")),
            ];
            for (path, expected) in expected {
                let found = property(resource, path);
                self.require(*found == expected, || {
                    format!("{function}: {path} is {found}, not {expected}")
                });
            }
        }
        for binary in binaries.difference(&deployed) {
            self.object(format!("the binary {binary} is not deployed"));
        }
    }

    /// Every function starts with what it is given, and every setting that exists is given to one.
    fn environment(&mut self, variables: &BTreeSet<String>) {
        let mut given = BTreeSet::new();
        for (function, resource) in self.of("AWS::Lambda::Function") {
            let environment = property(resource, "Environment/Variables").as_object();
            let environment = environment.cloned().unwrap_or_default();
            given.extend(environment.keys().cloned());
            let asked = RefCell::new(Vec::new());
            let read = |name: &'static str| {
                asked.borrow_mut().push(name);
                if LAMBDA_VARIABLES.contains(&name) {
                    return Some(name.to_owned());
                }
                // Secrets are references here; only that they are there is of interest.
                environment.get(name).map(|value| match value.as_str() {
                    Some(text) if !text.contains("{{resolve:") => text.to_owned(),
                    _ if name == "LEADLIGHT_ADDRESS_SECRET" => name.repeat(2),
                    _ => String::new(),
                })
            };
            if let Err(error) = Settings::read(read) {
                self.object(format!("{function}: does not start: {error}"));
            }
            for name in environment.keys() {
                self.require(variables.contains(name), || {
                    format!("{function}: nothing reads {name}")
                });
            }
        }
        for name in variables {
            let is_local = LOCAL_VARIABLES.contains(&name.as_str());
            self.require(is_local || given.contains(name), || {
                format!("{name} is read and given to no function")
            });
        }
    }

    fn roles(&mut self) {
        for (function, resource) in self.of("AWS::Lambda::Function") {
            let binary = binary(resource);
            let role = property(resource, "Role");
            let managed = items(self.named(role, "ManagedPolicyArns")).next();
            self.require(managed.is_none(), || {
                format!("{function}: has a policy that is not written here")
            });
            for policy in items(self.named(role, "Policies")) {
                let statements = policy.pointer("/PolicyDocument/Statement");
                for statement in items(statements.unwrap_or(&Value::Null)) {
                    let is_bound = !field(statement, "Condition").is_null();
                    let counts_requests = *field(statement, "Condition")
                        == json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["*#limit#*"] } })
                        && *field(statement, "Action") == json!("dynamodb:UpdateItem");
                    for action in items(field(statement, "Action")).filter_map(Value::as_str) {
                        let reads = [
                            "dynamodb:GetItem",
                            "dynamodb:BatchGetItem",
                            "dynamodb:Query",
                        ]
                        .contains(&action);
                        let is_write = action.starts_with("dynamodb:") && !reads;
                        let is_other =
                            !action.starts_with("dynamodb:") && !action.starts_with("logs:");
                        self.require(
                            !READERS.contains(&binary)
                                || counts_requests
                                || !(is_write || is_other),
                            || format!("{function}: only shows, and may {action}"),
                        );
                        self.require(!KEYLESS.contains(&binary) || !reads || is_bound, || {
                            format!("{function}: checks no tokens, and may see the keys of accounts by {action}")
                        });
                    }
                }
            }
        }
    }

    /// SES publishes every event that is read, and none that is paid for in vain.
    fn events(&mut self, read: &BTreeSet<String>) {
        for (name, resource) in self.of("AWS::SES::ConfigurationSetEventDestination") {
            let published = property(resource, "EventDestination/MatchingEventTypes");
            let published: BTreeSet<String> = items(published)
                .filter_map(Value::as_str)
                .map(event_name)
                .collect();
            self.require(published == *read, || {
                format!("{name}: SES publishes {published:?}, and {read:?} are read")
            });
        }
    }

    fn alarms(&mut self) {
        let mut watched: BTreeSet<(String, String)> = BTreeSet::new();
        for (name, resource) in self.of("AWS::CloudWatch::Alarm") {
            self.require(
                items(property(resource, "AlarmActions")).next().is_some(),
                || format!("{name}: tells nobody"),
            );
            let of_expression = items(property(resource, "Metrics"))
                .filter_map(|metric| metric.pointer("/MetricStat/Metric"));
            let own = Some(field(resource, "Properties"));
            for metric in of_expression.chain(own) {
                let kind = text(field(metric, "MetricName"));
                if let Some((_, review)) = REVIEWED.iter().find(|(name, _)| *name == kind) {
                    let threshold = property(resource, "Threshold").as_f64();
                    self.require(threshold.is_some_and(|at| at < *review), || {
                        format!("{name}: {threshold:?} is not before SES's {review}")
                    });
                }
                let of = items(field(metric, "Dimensions")).next();
                let of = of.map_or("", |dimension| text(field(dimension, "Value")));
                watched.insert((kind.to_owned(), of.to_owned()));
            }
        }
        let queues = self.resources.values();
        let redrives =
            queues.map(|resource| property(resource, "RedrivePolicy/deadLetterTargetArn"));
        let dead: BTreeSet<&str> = redrives.filter(|arn| !arn.is_null()).map(name).collect();
        let of_queue = |queue: &str| format!("{queue}.QueueName");
        let depths = dead
            .into_iter()
            .map(|queue| ("ApproximateNumberOfMessagesVisible", of_queue(queue)));
        let rest = [
            ("ApproximateAgeOfOldestMessage", of_queue("FeedbackQueue")),
            ("NumberOfMessagesSent", of_queue("FeedbackQueue")),
            ("Send", String::new()),
            ("Errors", "Feedback".to_owned()),
            ("Errors", "Reverifications".to_owned()),
            ("Errors", "Deliveries".to_owned()),
            ("IteratorAge", "Changes".to_owned()),
            (
                "ApproximateNumberOfMessagesVisible",
                of_queue("StreamDeadLetters"),
            ),
            ("5xx", "Api".to_owned()),
        ];
        let reviewed = REVIEWED.map(|(kind, _)| (kind, String::new()));
        for (kind, of) in depths.chain(rest).chain(reviewed) {
            let key = (kind.to_owned(), of);
            self.require(watched.contains(&key), || {
                format!("no alarm watches {} {}", key.0, key.1)
            });
        }
    }

    fn logs(&mut self) {
        for (group, resource) in self.of("AWS::Logs::LogGroup") {
            self.require(number(property(resource, "RetentionInDays")) > 0, || {
                format!("{group}: is kept for ever")
            });
        }
        for (function, resource) in self.of("AWS::Lambda::Function") {
            let group = property(resource, "LoggingConfig/LogGroup");
            let kind = self
                .resources
                .get(name(group))
                .and_then(|it| it.get("Type"));
            self.require(kind.is_some_and(|is| is == "AWS::Logs::LogGroup"), || {
                format!("{function}: logs to a group that is kept for ever")
            });
        }
    }

    /// The widget's files come compressed, with headers, out of a bucket that nobody else reads.
    fn widget(&mut self) {
        for (name, resource) in self.of("AWS::CloudFront::Distribution") {
            let config = property(resource, "DistributionConfig");
            let default = field(config, "DefaultCacheBehavior");
            for behavior in items(field(config, "CacheBehaviors")).chain([default]) {
                let cache = field(behavior, "CachePolicyId");
                let brotli = "CachePolicyConfig/ParametersInCacheKeyAndForwardedToOrigin/EnableAcceptEncodingBrotli";
                let is_compressed = *self.named(cache, brotli) == json!(true)
                    && *field(behavior, "Compress") == json!(true);
                self.require(is_compressed, || format!("{name}: serves without brotli"));
                let headers = field(behavior, "ResponseHeadersPolicyId");
                let csp = "ResponseHeadersPolicyConfig/SecurityHeadersConfig/ContentSecurityPolicy";
                self.require(!self.named(headers, csp).is_null(), || {
                    format!("{name}: serves without headers")
                });
            }
        }
        for (name, resource) in self.of("AWS::S3::Bucket") {
            let access = property(resource, "PublicAccessBlockConfiguration").as_object();
            let blocks = access.map_or(0, |access| {
                access.values().filter(|is| **is == json!(true)).count()
            });
            self.require(blocks == 4, || format!("{name}: may be made public"));
        }
    }
}

fn property<'a>(resource: &'a Value, path: &str) -> &'a Value {
    resource
        .pointer(&["/Properties/", path].concat())
        .unwrap_or(&Value::Null)
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// The items of a list; a single value is a list of one.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(items) => items.iter(),
        Value::Null => [].iter(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(value).iter()
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A number that is not there is 0, which no rule takes for good.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// The name in which an ARN ends; a reference is one already.
fn name(reference: &Value) -> &str {
    text(reference)
        .rsplit([':', '/'])
        .next()
        .unwrap_or_default()
}

fn binary(function: &Value) -> &str {
    let binary = function.pointer("/Metadata/BuildProperties/Binary");
    binary.and_then(Value::as_str).unwrap_or_default()
}

/// `DELIVERY_DELAY`, as the template says, to `DeliveryDelay`, as the event does.
fn event_name(kind: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        [first, &rest.to_lowercase()].concat()
    };
    kind.split('_').map(word).collect()
}

/// The functions' binaries.
fn binaries() -> anyhow::Result<BTreeSet<String>> {
    let sources = files(&workspace::root().join("functions/src/bin"))?;
    let names = sources.iter().filter_map(|file| file.file_stem());
    Ok(names
        .map(|name| name.to_string_lossy().into_owned())
        .collect())
}

/// Every variable of our own that the sources below `folder` name.
fn variables(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for file in files(folder)? {
        if file.is_dir() {
            found.extend(variables(&file)?);
            continue;
        }
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let literals = text.split('"').skip(1).step_by(2);
        let is_name = |text: &&str| {
            text.starts_with("LEADLIGHT_")
                && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        };
        found.extend(literals.filter(is_name).map(str::to_owned));
    }
    Ok(found)
}

/// The types of SES's events that say something about a recipient: tried on one of each.
fn events_read() -> anyhow::Result<BTreeSet<String>> {
    let mut read = BTreeSet::new();
    for file in files(&workspace::root().join("tests/fixtures"))? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("event_") || !name.ends_with(".json") {
            continue;
        }
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        if let Ok(Published::Notification(notification)) = parse(&text, Timestamp::UNIX_EPOCH)
            && !notification.feedback.is_empty()
        {
            read.insert(notification.kind);
        }
    }
    Ok(read)
}

fn files(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort_unstable();
    Ok(files)
}
