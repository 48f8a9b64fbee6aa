//! The roles of the deployment's template, tried on the functions: each may do all that it does, and nothing that it does not.
//!
//! IAM is stood in for by what the roles' statements say of each call: its action, and the condition keys that DynamoDB and SES
//! document for it (DynamoDB developer guide, *specifying conditions*). Resources are the template's own checks' business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use leadlight::policy::Policy;
use leadlight_dev::progress::Progress;
use leadlight_dev::template;
use leadlight_functions::deliveries;
use leadlight_functions::limits::BLOCK;
use serde_json::{Value, json};

use crate::changes::Follower;
use crate::gate::send_under;
use crate::notifications::{GENERAL, NO_EMAIL, bounce, complaint};
use crate::proxy::{Act, Call};
use crate::world::{ANN, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_roles_of_the_template_allow_what_the_functions_do_and_nothing_more() {
    let policy = Policy {
        recheck_on_save: true,
        mailbox_checks_per_day: 10,
        ..Policy::default()
    };
    let mut world = World::embedded().await.with_policy(policy).await;
    let iam = Iam::of_the_template();
    for calls in [&world.table_calls, &world.ses_calls] {
        let iam = iam.clone();
        calls.script(move |call| iam.judge(call));
    }
    let now = Timestamp::now();
    let ago = |minutes| now - SignedDuration::from_mins(minutes);

    iam.enact("leads", &mut world).await;
    world.save("ann", ANN).await;
    world.save("ben", "ben@lead.example").await;
    world.save("cleo", "cleo@lead.example").await;
    world.save("dora", "dora@failing.example").await;
    world.save("ella", "ella@failing.example").await;

    iam.enact("feedback", &mut world).await;
    iam.race("evidence");
    world.deliver(&[bounce(ANN, GENERAL, ago(50))]).await;
    let mut untagged = bounce("ben@lead.example", NO_EMAIL, ago(40));
    untagged["mail"]["tags"] = json!({});
    world.deliver(&[untagged]).await;
    iam.race("lead");
    world
        .deliver(&[complaint(&["cleo@lead.example"], ago(30))])
        .await;

    iam.enact("subscriber", &mut world).await;
    iam.race("evidence");
    let event = bounce(ANN, GENERAL, ago(45)).to_string();
    let delivered = world.deliver_by_https(&event).await;
    assert_eq!(delivered.status, 200, "{delivered:?}");
    let mut untagged = bounce("ben@lead.example", NO_EMAIL, ago(35));
    untagged["mail"]["tags"] = json!({});
    iam.race("lead");
    for event in [untagged, complaint(&["cleo@lead.example"], ago(25))] {
        let delivered = world.deliver_by_https(&event.to_string()).await;
        assert_eq!(delivered.status, 200, "{delivered:?}");
    }

    // Whoever asks often is counted in the table.
    for (function, method, path) in [
        ("statuses", "POST", "/v1/statuses"),
        ("rechecks", "POST", "/v1/leads/nobody/rechecks"),
        ("leads", "GET", "/v1/leads/nobody"),
        ("sends", "POST", "/v1/send-checks"),
        ("verifications", "POST", "/v1/verifications"),
        ("webhooks", "GET", "/v1/webhook"),
        ("reputation", "GET", "/v1/reputation"),
    ] {
        iam.enact(function, &mut world).await;
        for _ in 0..=BLOCK {
            world.call_at(method, path, Value::Null, now).await;
        }
    }

    iam.enact("statuses", &mut world).await;
    let statuses = world.statuses(&["ann", "ben", "cleo"]).await;
    let blocked = statuses.iter().filter(|it| it.status == "blocklisted");
    assert_eq!(blocked.count(), 3, "{statuses:?}");

    iam.enact("rechecks", &mut world).await;
    world.ses.suppress(ANN, "BOUNCE").unwrap();
    assert_eq!(world.recheck("ann").await.status.status, "active");

    // Ben's address is corrected twice: what is saved is checked again at once, and SES turns out to know of a complaint.
    iam.enact("leads", &mut world).await;
    world.ses.suppress("ben@new.example", "BOUNCE").unwrap();
    world.save("ben", "ben@new.example").await;
    iam.enact("feedback", &mut world).await;
    world
        .deliver(&[bounce("ben@new.example", NO_EMAIL, ago(-1))])
        .await;
    iam.enact("leads", &mut world).await;
    world
        .ses
        .suppress("benny@new.example", "COMPLAINT")
        .unwrap();
    world.save("ben", "benny@new.example").await;
    let shown = world.call("GET", "/v1/leads/ben", Value::Null).await;
    assert_eq!(shown.body["reason"], "spam_complaint", "{shown:?}");
    assert!(!world.log("ben").await.is_empty());

    iam.enact("feedback", &mut world).await;
    world
        .deliver(&[bounce(ANN, GENERAL, now + SignedDuration::from_mins(2))])
        .await;
    iam.enact("rechecks", &mut world).await;
    let later = now + SignedDuration::from_hours(31 * 24);
    world.ses.suppress(ANN, "COMPLAINT").unwrap();
    let pressed = world.press_at("ann", later).await;
    assert_eq!(
        pressed.body["status"]["reason"], "spam_complaint",
        "{pressed:?}"
    );

    iam.enact("sends", &mut world).await;
    let message = json!({
        "from": { "address": "news@mail.acme.example" }, "to": [{ "address": "zoe@lead.example" }],
        "subject": "Spring", "text": "Hello", "list_unsubscribe": { "url": "https://mail.acme.example/u" },
    });
    let sent = send_under(&world, &world.app, "order-17", &message, now).await;
    assert_eq!(sent.status, 200, "{sent:?}");

    iam.enact("verifications", &mut world).await;
    world.verify("zoe@lead.example").await;

    iam.enact("reverifications", &mut world).await;
    let put_off = world.tick(now + SignedDuration::from_mins(2)).await;
    assert_eq!(put_off.put_off, 2, "{put_off:?}");
    world.dns.change(|zone| {
        zone.without("failing.example")
            .mail("failing.example", [192, 0, 2, 20].into())
    });
    iam.race("evidence");
    let verified = world.tick(now + SignedDuration::from_mins(10)).await;
    // The race was lost: its evidence is as good.
    let seen_to = (verified.verified, verified.needless);
    assert_eq!(seen_to, (1, 1), "{verified:?}");

    iam.enact("webhooks", &mut world).await;
    let gone = json!({ "url": "http://127.0.0.1:9/gone" });
    let saved = world.call("PUT", "/v1/webhook", gone.clone()).await;
    assert_eq!(saved.status, 201, "{saved:?}");
    let shown = world.call("GET", "/v1/webhook", Value::Null).await;
    assert_eq!(shown.status, 200, "{shown:?}");

    iam.enact("changes", &mut world).await;
    Follower::default().follow(&world).await;

    iam.enact("deliveries", &mut world).await;
    let records = json!({ "Records": world.stream.records().await.unwrap() });
    let soon = Timestamp::now() + SignedDuration::from_mins(6);
    let put_off =
        deliveries::deliver_new(&world.app.courier, records, None, Timestamp::now()).await;
    assert!(put_off.unwrap().put_off > 0);
    let put_off = deliveries::deliver_due(&world.app.courier, None, soon).await;
    assert!(put_off.unwrap().put_off > 0);

    iam.enact("webhooks", &mut world).await;
    let removed = world.call("DELETE", "/v1/webhook", Value::Null).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    iam.enact("reputation", &mut world).await;
    let figures = world.call("GET", "/v1/reputation", Value::Null).await;
    assert_eq!(figures.status, 200, "{figures:?}");

    iam.refuses_what_no_function_asks();
    iam.leaves_nothing_unused();
}

/// The roles, and the one that is played.
#[derive(Clone)]
struct Iam(Arc<Mutex<State>>);

struct State {
    /// What each function's role allows.
    roles: BTreeMap<String, Vec<Statement>>,
    role: String,
    /// The kind of item whose next write is carried out and not answered: its repetition loses a race against itself.
    race: Option<&'static str>,
}

struct Statement {
    actions: Vec<String>,
    condition: Value,
    used: BTreeSet<String>,
}

impl Iam {
    fn of_the_template() -> Self {
        let text = template::TEXT.to_owned();
        let mut checked = template::check_briefly(&[text], &Progress::silent()).unwrap();
        let resources = checked.remove(0).resources;
        let functions = resources
            .values()
            .filter(|resource| resource["Type"] == "AWS::Lambda::Function");
        let role = |function: &Value| {
            let name = function["Metadata"]["BuildProperties"]["Binary"].as_str()?;
            let role = function["Properties"]["Role"]
                .as_str()?
                .rsplit('/')
                .next()?;
            let policies = resources[role]["Properties"]["Policies"].as_array()?;
            let statements = policies.iter().flat_map(|policy| {
                let statements = policy["PolicyDocument"]["Statement"].as_array();
                statements.unwrap().iter().map(Statement::read)
            });
            Some((name.to_owned(), statements.collect()))
        };
        let roles: BTreeMap<_, _> = functions.map(|function| role(function).unwrap()).collect();
        assert!(!roles.is_empty());
        Self(Arc::new(Mutex::new(State {
            roles,
            role: String::new(),
            race: None,
        })))
    }

    /// From now on it is this function that runs, in a process that has just started.
    async fn enact(&self, role: &str, world: &mut World) {
        role.clone_into(&mut self.0.lock().unwrap().role);
        world.app = Arc::new(world.restarted());
        world.app.warm().await;
    }

    fn race(&self, kind: &'static str) {
        self.0.lock().unwrap().race = Some(kind);
    }

    fn judge(&self, call: &Call) -> Act {
        // A transaction needs what its parts need.
        if let Some(parts) = call.body["TransactItems"].as_array() {
            for (operation, field) in [("PutItem", "Put"), ("UpdateItem", "Update")] {
                let parts = parts.iter().filter(|part| part[field].is_object());
                for part in parts {
                    let (operation, body) = (operation.to_owned(), part[field].clone());
                    self.judge(&Call { operation, body });
                }
            }
            return Act::Pass;
        }
        let mut state = self.0.lock().unwrap();
        let role = state.role.clone();
        let request = Request::read(call);
        let statements = state.roles.get_mut(&role).unwrap();
        let allowed = statements.iter_mut().filter(|it| it.allows(&request));
        let mut is_allowed = false;
        for statement in allowed {
            statement.used.insert(request.action.clone());
            is_allowed = true;
        }
        assert!(
            is_allowed,
            "{role} may not {}: {:?}",
            request.action, request.context
        );
        if state.race.is_some_and(|kind| call.written() == Some(kind)) {
            state.race = None;
            return Act::CutAfter;
        }
        Act::Pass
    }

    /// The keys of an account are not for the functions that check no tokens.
    fn refuses_what_no_function_asks(&self) {
        let state = self.0.lock().unwrap();
        let key = json!({ "pk": { "S": "acme" }, "sk": { "S": "account" } });
        let names = json!({ "#0": "pk", "#1": "keys" });
        let whole = json!({ "TableName": "t", "Key": key });
        let keys = json!({ "TableName": "t", "Key": key, "ProjectionExpression": "#0, #1", "ExpressionAttributeNames": names });
        for body in [whole, keys] {
            let operation = "GetItem".to_owned();
            let request = Request::read(&Call { operation, body });
            let allow = |role: &str| state.roles[role].iter().any(|it| it.allows(&request));
            assert!(!allow("feedback"), "{request:?}");
            for keyless in ["subscriber", "reverifications", "changes", "deliveries"] {
                assert!(!allow(keyless), "{request:?}");
            }
            assert!(allow("statuses"), "tokens are checked by them");
        }
    }

    fn leaves_nothing_unused(&self) {
        let state = self.0.lock().unwrap();
        for (role, statements) in &state.roles {
            for Statement {
                actions,
                condition,
                used,
            } in statements
            {
                for action in actions {
                    // What Lambda itself does on behalf of the function.
                    let is_lambda = action.starts_with("logs:")
                        || action.starts_with("sqs:")
                        || [
                            "dynamodb:DescribeStream",
                            "dynamodb:GetRecords",
                            "dynamodb:GetShardIterator",
                            "dynamodb:ListStreams",
                        ]
                        .contains(&action.as_str());
                    // Nothing stands between the functions and EventBridge or SNS here; other flows show that it is needed.
                    let is_unseen =
                        ["events:PutEvents", "sns:ConfirmSubscription"].contains(&action.as_str());
                    assert!(
                        is_lambda || is_unseen || used.contains(action),
                        "{role} never needs {action} {condition}"
                    );
                }
            }
        }
    }
}

impl Statement {
    fn read(statement: &Value) -> Self {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        Self {
            actions: texts(&statement["Action"]),
            condition: statement["Condition"].clone(),
            used: BTreeSet::new(),
        }
    }

    fn allows(&self, request: &Request) -> bool {
        let conditions = self.condition.as_object().into_iter().flatten();
        self.actions.contains(&request.action)
            && conditions.into_iter().all(|(operator, keys)| {
                let keys = keys.as_object().unwrap().iter();
                keys.into_iter().all(|(key, patterns)| {
                    let values = request.context.get(key.as_str());
                    let patterns = texts(patterns);
                    let of_any = |value: &String| match operator.as_str() {
                        "ForAllValues:StringLike" => patterns.iter().any(|it| is_like(value, it)),
                        "ForAllValues:StringEquals" | "StringEquals" | "StringEqualsIfExists" => {
                            patterns.contains(value)
                        }
                        _ => panic!("{operator} is not known here"),
                    };
                    match values {
                        Some(values) => values.iter().all(of_any),
                        None => operator != "StringEquals",
                    }
                })
            })
    }
}

/// A call, as IAM sees it.
#[derive(Debug)]
struct Request {
    action: String,
    context: BTreeMap<&'static str, Vec<String>>,
}

impl Request {
    fn read(call: &Call) -> Self {
        if call.operation.contains(' ') {
            return Self::of_ses(&call.operation);
        }
        let body = &call.body;
        let pk = |item: &Value| item["pk"]["S"].as_str().unwrap().to_owned();
        let keys = match call.operation.as_str() {
            "PutItem" => vec![pk(&body["Item"])],
            "GetItem" | "UpdateItem" | "DeleteItem" => vec![pk(&body["Key"])],
            "Query" => vec![
                body["ExpressionAttributeValues"][":pk"]["S"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ],
            "BatchGetItem" => {
                let tables = body["RequestItems"].as_object().unwrap().values();
                tables
                    .flat_map(|table| table["Keys"].as_array().unwrap())
                    .map(pk)
                    .collect()
            }
            operation => panic!("{operation} is not known here"),
        };
        let mut context = BTreeMap::from([("dynamodb:LeadingKeys", keys)]);
        if ["GetItem", "BatchGetItem", "Query"].contains(&call.operation.as_str()) {
            let select = match body["ProjectionExpression"].as_str() {
                Some(projection) => {
                    let name = |name: &str| {
                        body["ExpressionAttributeNames"][name.trim()]
                            .as_str()
                            .unwrap()
                            .to_owned()
                    };
                    context.insert(
                        "dynamodb:Attributes",
                        projection.split(',').map(name).collect(),
                    );
                    "SPECIFIC_ATTRIBUTES"
                }
                None => "ALL_ATTRIBUTES",
            };
            context.insert("dynamodb:Select", vec![select.to_owned()]);
        }
        Self {
            action: ["dynamodb:", &call.operation].concat(),
            context,
        }
    }

    fn of_ses(operation: &str) -> Self {
        let actions = [
            (
                "GET /v2/email/suppression/addresses/",
                "ses:GetSuppressedDestination",
            ),
            (
                "DELETE /v2/email/suppression/addresses/",
                "ses:DeleteSuppressedDestination",
            ),
            ("POST /v2/email/outbound-emails", "ses:SendEmail"),
            (
                "POST /v2/email/email-address-insights",
                "ses:GetEmailAddressInsights",
            ),
        ];
        let action = actions
            .iter()
            .find(|(start, _)| operation.starts_with(start));
        let (_, action) = action.unwrap_or_else(|| panic!("{operation} is not known here"));
        Self {
            action: (*action).to_owned(),
            context: BTreeMap::from([("ses:ApiVersion", vec!["2".to_owned()])]),
        }
    }
}

/// One text or several.
fn texts(value: &Value) -> Vec<String> {
    let one = value.as_str().map(str::to_owned);
    let several = value.as_array().into_iter().flatten();
    let several = several.map(|text| text.as_str().unwrap().to_owned());
    one.into_iter().chain(several).collect()
}

/// Whether a text is like a pattern, in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && is_like(&text[at..], rest))
        }),
    }
}
