//! Which pages may use an account's tokens: those whose origin it lists, letter for letter; and what browsers are told of every answer.

use jiff::Timestamp;
use lambda_http::Body;
use lambda_http::http::header::ORIGIN;
use lambda_http::http::{HeaderName, HeaderValue};
use leadlight_dev::stack::{Stack, StackSettings};
use serde_json::{Value, json};

use crate::notifications::{NO_EMAIL, bounce};
use crate::tokens::{SERVER_SCOPE, WIDGET_SCOPE};
use crate::world::{ANN, Reply, World, answer, minutes_ago, on_both_engines, request};

on_both_engines!(only_listed_origins_get_an_answer);

const LISTED: &str = "https://crm.example.com";

async fn ask(world: &World, origins: &[&[u8]]) -> Reply {
    let now = Timestamp::now();
    let authorization = world.acme.token(WIDGET_SCOPE, now).bearer();
    let body = Body::Text(r#"{"leads":["ann"]}"#.to_owned());
    let mut request = request("POST", "/v1/statuses", Some(&authorization), body);
    for origin in origins {
        let origin = HeaderValue::from_bytes(origin).unwrap();
        request.headers_mut().append(ORIGIN, origin);
    }
    answer(&world.app, request, now).await
}

async fn only_listed_origins_get_an_answer(world: World) {
    world.save("ann", ANN).await;
    let world = world
        .with_origins(&[
            LISTED,
            "http://localhost:3000",
            "https://xn--jrgen-kva.example",
        ])
        .await;
    for origin in [
        LISTED,
        "http://localhost:3000",
        "https://xn--jrgen-kva.example",
    ] {
        let reply = ask(&world, &[origin.as_bytes()]).await;
        assert_eq!(reply.status, 200, "{origin}: {reply:?}");
    }
    let reply = ask(&world, &[]).await;
    assert_eq!(reply.status, 200, "a server sends no origin: {reply:?}");
    let tricks = [
        ("a frame in a sandbox, a file, a redirect", "null"),
        ("nothing", ""),
        ("everything", "*"),
        ("a longer host", "https://crm.example.com.evil.example"),
        ("a host that ends so", "https://evilcrm.example.com"),
        ("a subdomain", "https://evil.crm.example.com"),
        ("the parent", "https://example.com"),
        ("a hyphen", "https://crm-example.com"),
        ("any letter for a dot", "https://crmxexample.com"),
        ("no TLS", "http://crm.example.com"),
        ("another scheme", "ftp://crm.example.com"),
        ("no scheme", "crm.example.com"),
        ("no scheme but its slashes", "//crm.example.com"),
        ("the port that it has anyway", "https://crm.example.com:443"),
        ("another port", "https://crm.example.com:8443"),
        ("a listed host at another port", "http://localhost:3001"),
        ("a listed host without its port", "http://localhost"),
        ("a longer port", "http://localhost:30000"),
        ("capitals", "https://CRM.example.com"),
        ("a scheme in capitals", "HTTPS://crm.example.com"),
        ("a slash", "https://crm.example.com/"),
        ("a path", "https://crm.example.com/page"),
        ("a query", "https://crm.example.com?x"),
        ("a trailing dot", "https://crm.example.com."),
        ("a user", "https://crm.example.com@evil.example"),
        ("a user before", "https://evil@crm.example.com"),
        (
            "two origins",
            "https://crm.example.com https://evil.example",
        ),
        (
            "two origins with a comma",
            "https://crm.example.com,https://evil.example",
        ),
        (
            "a listed one behind",
            "https://evil.example, https://crm.example.com",
        ),
        (
            "a letter that looks the same",
            "https://\u{441}rm.example.com",
        ),
        ("a name before it is encoded", "https://j\u{fc}rgen.example"),
        ("an escape", "https://crm%2eexample.com"),
    ];
    for (why, origin) in tricks {
        let reply = ask(&world, &[origin.as_bytes()]).await;
        assert_eq!(reply.status, 403, "{why}: {reply:?}");
        let problem = reply.problem(403, "foreign-origin");
        assert_eq!(problem.field.as_deref(), Some("origin"), "{why}");
        assert!(!reply.body.to_string().contains("ann"), "{why}: {reply:?}");
    }
    let twice: [&[u8]; 2] = [LISTED.as_bytes(), b"https://evil.example"];
    for origins in [&twice[..], &[b"\xff"]] {
        ask(&world, origins).await.problem(403, "foreign-origin");
    }
    // Who lists nothing has no pages; who has no list leaves it to the deployment.
    let world = world.with_origins(&[]).await;
    ask(&world, &[LISTED.as_bytes()])
        .await
        .problem(403, "foreign-origin");
    assert_eq!(ask(&world, &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_a_list_leaves_its_pages_to_the_deployment() {
    let world = World::embedded().await;
    assert_eq!(ask(&world, &[b"https://any.example"]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_says_what_browsers_must_not_do_with_it() {
    let world = World::embedded().await;
    let now = Timestamp::now();
    let token = world.acme.token(SERVER_SCOPE, now).bearer();
    let good = format!(r#"{{"address":"{ANN}"}}"#);
    let rows = [
        ("PUT", "/v1/leads/ann", good.as_str(), Some(&token), 201),
        ("PUT", "/v1/leads/ann", "{", Some(&token), 400),
        ("PUT", "/v1/leads/ann", "{}", None, 401),
        ("GET", "/v1/leads/bob", "", Some(&token), 404),
        ("GET", "/v1/nothing", "", Some(&token), 404),
        ("PATCH", "/v1/leads/ann", "", Some(&token), 405),
        ("PUT", "/v1/leads/ann", "[]", Some(&token), 422),
        (
            "POST",
            "/v1/statuses",
            r#"{"leads":["ann"]}"#,
            Some(&token),
            200,
        ),
        ("POST", "/v1/leads/ann/rechecks", "", Some(&token), 409),
        ("POST", "/v1/send-checks", "{}", Some(&token), 422),
        ("GET", "/v1/permit-keys", "", None, 200),
        (
            "POST",
            "/v1/verifications",
            good.as_str(),
            Some(&token),
            200,
        ),
        ("GET", "/v1/webhook", "", Some(&token), 404),
        ("GET", "/v1/reputation", "", Some(&token), 200),
        ("POST", "/v1/notifications", "{}", None, 422),
    ];
    for (method, path, body, token, status) in rows {
        let body = Body::Text(body.to_owned());
        let request = request(method, path, token.map(String::as_str), body);
        let reply = answer(&world.app, request, now).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            (
                "strict-transport-security",
                "max-age=63072000; includeSubDomains",
            ),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            let name = HeaderName::from_static(name);
            let values: Vec<&HeaderValue> = reply.headers.get_all(&name).iter().collect();
            assert_eq!(values, [value], "{name} of {method} {path}");
        }
        let is_kept = path == "/v1/permit-keys";
        let caching = reply.headers["cache-control"].to_str().unwrap();
        assert_eq!(
            caching == "no-store",
            !is_kept,
            "{method} {path}: {caching}"
        );
        // API Gateway says it, once; said twice, browsers refuse it.
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_api_answers_pages_as_the_deployed_one_does() {
    let stack = Stack::start(StackSettings::default()).await.unwrap();
    let (client, api) = (reqwest::Client::new(), stack.origin());
    let preflight = async |origin: &str| {
        let url = format!("{api}/v1/statuses");
        let asked = client.request(reqwest::Method::OPTIONS, url);
        let asked = asked
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            );
        let allowed = asked.send().await.unwrap();
        let allowed = allowed.headers().get("access-control-allow-origin");
        allowed.map(|origin| origin.to_str().unwrap().to_owned())
    };
    let own = "http://127.0.0.1:4999";
    assert_eq!(preflight(own).await.as_deref(), Some(own));
    for other in [
        "null",
        "https://127.0.0.1:4999",
        "http://127.0.0.1:4999.evil.example",
        "http://127.0.0.1.evil.example:80",
        "http://evil.example",
    ] {
        assert_eq!(preflight(other).await, None, "{other}");
    }
    // What a page may read, and what the gateway itself answers.
    let refused = client
        .post(format!("{api}/v1/statuses"))
        .header("origin", own);
    let refused = refused
        .body(vec![b' '; 7 * 1024 * 1024])
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 413);
    let exposed = refused.headers()["access-control-expose-headers"].to_str();
    assert_eq!(exposed.unwrap(), "retry-after,ratelimit,ratelimit-policy");
    assert_eq!(refused.headers()["x-content-type-options"], "nosniff");

    let mut event = bounce("door@larkspur.example", NO_EMAIL, minutes_ago(1));
    event["mail"]["tags"] = json!({ "leadlight-account": ["demo"] });
    let delivered = client.post(format!("{api}/local/notifications"));
    let delivered = delivered.body(event.to_string()).send().await.unwrap();
    let answer: Value = serde_json::from_str(&delivered.text().await.unwrap()).unwrap();
    assert_eq!(answer, json!({ "outcome": "recorded" }));
}
