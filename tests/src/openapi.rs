//! The description of the API, held against every answer that any flow test gets: nothing is answered that is not described.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{Reply, World, answer, on_both_engines, request};

on_both_engines!(anybody_may_read_the_description);

/// The description, as it is served.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(leadlight_functions::openapi::DOCUMENT).unwrap());

/// Ends the test unless the answer to `method path` is described: its status, its kind of body, its kind of problem, and the headers
/// that it must have.
#[track_caller]
pub(crate) fn assert_described(method: &str, path: &str, reply: &Reply) {
    let Some(operations) = operations_at(path) else {
        assert_eq!(reply.status, 404, "{path} is not described");
        return;
    };
    let Some(operation) = operations.get(method.to_lowercase()) else {
        assert_eq!(reply.status, 405, "{method} {path} is not described");
        return;
    };
    let described = &operation["responses"][reply.status.to_string()];
    assert!(
        !described.is_null(),
        "{method} {path} may not answer this: {reply:?}"
    );

    let content_type = reply
        .headers
        .get("content-type")
        .map(|value| value.to_str().unwrap());
    let contents = described["content"].as_object();
    match (content_type, contents) {
        (None, None) => {}
        (Some(content_type), Some(contents)) => {
            let content = contents.get(content_type);
            let content = content
                .unwrap_or_else(|| panic!("{method} {path}: {content_type} is not described"));
            if let Some(kinds) = content.pointer("/schema/allOf/1/properties/type/enum") {
                let kinds = kinds.as_array().unwrap();
                assert!(
                    kinds.contains(&reply.body["type"]),
                    "{method} {path}: this problem is not described: {reply:?}"
                );
            }
        }
        (content_type, _) => panic!("{method} {path}: {content_type:?} is not what is described"),
    }
    for (name, header) in described["headers"].as_object().unwrap() {
        let way = header["$ref"].as_str().unwrap();
        let header = DOCUMENT.pointer(way.strip_prefix('#').unwrap()).unwrap();
        let is_needed = header["required"] == true;
        assert!(
            !is_needed || reply.headers.contains_key(name),
            "{method} {path} must have {name}: {reply:?}"
        );
    }
}

/// What may be done at `path`, by method.
fn operations_at(path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let is_at = |template: &str| {
        let (wanted, given) = (template.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted
                .zip(given)
                .all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
    };
    paths
        .iter()
        .find(|(template, _)| is_at(template))
        .map(|(_, operations)| operations)
}

async fn anybody_may_read_the_description(world: World) {
    let now = Timestamp::now();
    let reply = answer(
        &world.app,
        request("GET", "/v1/openapi.json", None, "".into()),
        now,
    )
    .await;
    assert_eq!(
        (reply.status, &reply.body["openapi"]),
        (200, &json!("3.1.0"))
    );
    assert_eq!(reply.headers["cache-control"], "public, max-age=3600");
    world
        .call("DELETE", "/v1/openapi.json", json!(null))
        .await
        .problem(405, "method-not-allowed");
}
