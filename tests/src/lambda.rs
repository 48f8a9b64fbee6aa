//! The built binaries, as Lambda runs them: a process each, fed by a Runtime API, told everything by its environment.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use leadlight_dev::lambdas::{self, FUNCTIONS};
use leadlight_dev::logs;
use leadlight_dev::progress::Progress;
use leadlight_dev::runtime_api::{Function, RuntimeApi};
use leadlight_dev::stack::{Stack, StackSettings};
use serde_json::{Value, json};

use crate::envelopes;
use crate::notifications::{GENERAL, bounce, fixture, of_account};
use crate::world::failures;

/// Where the binaries are, built from the sources as they are now.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| lambdas::build(&Progress::silent()).unwrap());

const ANN: &str = "ann.lee@larkspur.example";
/// How long an invocation, or a process that ought to end, may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a function must be told; the other names of its environment are optional.
const REQUIRED: [&str; 5] = [
    "LEADLIGHT_TABLE",
    "LEADLIGHT_ADDRESS_SECRET",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_built_functions_do_the_whole_job() {
    let stack = stack().await;
    let [feedback, leads, statuses, rechecks] = &functions(&stack).await;
    let server = stack.account.server_token(Timestamp::now()).unwrap().token;
    let ask = async |function: &Function, method: &str, path: &str, body: Value| {
        call(function, &http_event(method, path, &server, &body)).await
    };

    let saved = ask(leads, "PUT", "/v1/leads/ann-lee", json!({ "address": ANN })).await;
    assert_eq!(
        (saved.0, &saved.1["status"]),
        (201, &json!("active")),
        "{saved:?}"
    );

    let sound = bounce_of_demo(ANN);
    let stranger = of_account(bounce_of_demo("ben@larkspur.example"), "nobody");
    let batch = [
        envelopes::sns(&sound),
        "no JSON at all".to_owned(),
        envelopes::sns(&stranger),
    ];
    let answer = feedback
        .invoke(envelopes::sqs(&batch), PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        failures(&answer),
        [1, 2],
        "exactly the bad records come again: {answer}"
    );

    let asked = ask(
        statuses,
        "POST",
        "/v1/statuses",
        json!({ "leads": ["ann-lee", "zoe"] }),
    )
    .await;
    assert_eq!(asked.0, 200, "{asked:?}");
    assert_eq!(asked.1["statuses"][0]["reason"], "hard_bounce", "{asked:?}");
    assert_eq!(asked.1["statuses"][0]["may_check_again"], true, "{asked:?}");
    assert_eq!(asked.1["statuses"][1]["status"], "unknown", "{asked:?}");

    let rechecked = ask(rechecks, "POST", "/v1/leads/ann-lee/rechecks", Value::Null).await;
    assert_eq!(
        (rechecked.0, &rechecked.1["outcome"]),
        (200, &json!("sent")),
        "{rechecked:?}"
    );
    assert_eq!(rechecked.1["status"]["status"], "active", "{rechecked:?}");

    let log = ask(leads, "GET", "/v1/leads/ann-lee/log?limit=1", Value::Null).await;
    assert_eq!(log.0, 200, "{log:?}");
    assert_eq!(
        log.1["entries"].as_array().map(Vec::len),
        Some(1),
        "the query arrives: {log:?}"
    );
    assert!(log.1["next_cursor"].is_string(), "{log:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_built_functions_refuse_with_problem_documents() {
    let stack = stack().await;
    let [_, leads, statuses, rechecks] = &functions(&stack).await;
    let widget = stack.account.widget_token(Timestamp::now()).unwrap().token;
    let none = Value::Null;
    let cases = [
        (
            leads,
            "GET",
            "/v1/leads/zoe",
            "no token",
            &none,
            401,
            "unauthorized",
            "not a token",
        ),
        (
            leads,
            "PUT",
            "/v1/leads/zoe",
            &widget,
            &json!({ "address": ANN }),
            403,
            "forbidden",
            "a widget may not save",
        ),
        (
            leads,
            "GET",
            "/v1/leads/zoe",
            &widget,
            &none,
            404,
            "unknown-lead",
            "never saved",
        ),
        (
            statuses,
            "GET",
            "/v1/statuses",
            &widget,
            &none,
            405,
            "method-not-allowed",
            "another method",
        ),
        (
            statuses,
            "POST",
            "/v1/statuses",
            &widget,
            &json!([]),
            422,
            "invalid-field",
            "no object",
        ),
        (
            rechecks,
            "POST",
            "/v1/leads/zoe/rechecks",
            &widget,
            &none,
            404,
            "unknown-lead",
            "never saved",
        ),
    ];
    for (function, method, path, token, body, status, code, why) in cases {
        let event = http_event(method, path, token, body);
        let answer = function.invoke(event, PATIENCE).await.unwrap();
        assert_eq!(answer["statusCode"], status, "{why}: {answer}");
        assert_eq!(
            answer["headers"]["content-type"], "application/problem+json",
            "{why}: {answer}"
        );
        let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            problem["type"],
            format!("https://leadlight.dev/problems/{code}"),
            "{why}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_may_arrive_in_base64() {
    let stack = stack().await;
    let statuses = function("statuses", &stack).await;
    let token = stack.account.widget_token(Timestamp::now()).unwrap().token;
    let mut event = http_event("POST", "/v1/statuses", &token, &json!({ "leads": ["zoe"] }));
    event["body"] = STANDARD.encode(event["body"].as_str().unwrap()).into();
    event["isBase64Encoded"] = true.into();
    let (status, reply) = call(&statuses, &event).await;
    assert_eq!(
        (status, &reply["statuses"][0]["lead"]),
        (200, &json!("zoe")),
        "{reply}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_makes_no_sense_fails_alone() {
    let stack = stack().await;
    let token = stack.account.widget_token(Timestamp::now()).unwrap().token;
    let sense = [
        envelopes::sqs(&[envelopes::sns(&bounce_of_demo(ANN))]),
        http_event("GET", "/v1/leads/zoe", &token, &Value::Null),
        http_event("POST", "/v1/statuses", &token, &json!({ "leads": ["zoe"] })),
        http_event("POST", "/v1/leads/zoe/rechecks", &token, &Value::Null),
    ];
    for (function, sense) in functions(&stack).await.iter().zip(sense) {
        for nonsense in [
            json!(null),
            json!([1, 2]),
            json!("what?"),
            json!({ "Records": "none" }),
        ] {
            let error = function
                .invoke(nonsense.clone(), PATIENCE)
                .await
                .unwrap_err();
            assert!(
                !error.is_end(),
                "{} at {nonsense}: {error}",
                function.name()
            );
        }
        let answer = function.invoke(sense, PATIENCE).await;
        assert!(answer.is_ok(), "{} lives on: {answer:?}", function.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_variable_ends_the_function_and_is_named() {
    let stack = stack().await;
    for name in FUNCTIONS {
        for missing in REQUIRED {
            let api = RuntimeApi::start().await.unwrap();
            let environment = stack
                .environment()
                .into_iter()
                .filter(|(name, _)| name != missing);
            let process = tokio::process::Command::new(binary(name))
                .env_clear()
                .envs(api.environment(name))
                .envs(environment)
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output();
            let ended = tokio::time::timeout(PATIENCE, process).await;
            let ended = ended
                .unwrap_or_else(|_| panic!("{name} runs on without {missing}"))
                .unwrap();
            if let Some(mut kept) = logs::file(name).unwrap() {
                kept.write_all(&ended.stdout).unwrap();
                kept.write_all(&ended.stderr).unwrap();
            }
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(!ended.status.success(), "{name} without {missing}: {said}");
            assert!(said.contains(missing), "{name} without {missing}: {said}");
        }
    }
}

async fn stack() -> Stack {
    Stack::start(StackSettings::default()).await.unwrap()
}

/// A hard bounce of the demo's account that Check again may lift.
fn bounce_of_demo(address: &str) -> Value {
    of_account(bounce(address, GENERAL, Timestamp::now()), "demo")
}

/// Those of the story, which begin [`FUNCTIONS`].
async fn functions(stack: &Stack) -> [Function; 4] {
    let [feedback, leads, statuses, rechecks, ..] = FUNCTIONS.map(|name| function(name, stack));
    [feedback.await, leads.await, statuses.await, rechecks.await]
}

async fn function(name: &str, stack: &Stack) -> Function {
    let mut environment = stack.environment();
    // What these tests provoke is not worth a line in their output.
    environment.push(("LEADLIGHT_LOG".to_owned(), "off".to_owned()));
    let function = Function::spawn(&binary(name), &environment).await.unwrap();
    let ready = tokio::time::timeout(PATIENCE, function.initialised()).await;
    ready
        .unwrap_or_else(|_| panic!("{name} does not start"))
        .unwrap();
    function
}

fn binary(name: &str) -> PathBuf {
    BUILT.join(name)
}

/// A request as API Gateway hands it to a function.
fn http_event(method: &str, path: &str, token: &str, body: &Value) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut event = fixture("http_api_request.json");
    event["rawPath"] = path.into();
    event["rawQueryString"] = query.into();
    event["requestContext"]["http"]["path"] = path.into();
    event["requestContext"]["http"]["method"] = method.into();
    event["headers"]["authorization"] = format!("Bearer {token}").into();
    event["body"] = if body.is_null() {
        Value::Null
    } else {
        body.to_string().into()
    };
    event
}

/// The answer to a request, taken out of what API Gateway gets.
async fn call(function: &Function, event: &Value) -> (u64, Value) {
    let answer = function.invoke(event.clone(), PATIENCE).await.unwrap();
    let status = answer["statusCode"].as_u64().unwrap();
    (
        status,
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap(),
    )
}
