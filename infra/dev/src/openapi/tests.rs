//! The description against the code, the template and itself.

use std::collections::BTreeSet;

use leadlight::api;
use leadlight::reputation::Reputation;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::template;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// The description as it is kept.
fn kept() -> Value {
    serde_json::from_str(leadlight_functions::openapi::DOCUMENT).unwrap()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            (format!("{} {path}", method.to_uppercase()), operation)
        })
    });
    each.collect()
}

/// Every part of the description, with its way there.
fn parts(value: &Value) -> Vec<(String, &Value)> {
    let mut all = vec![(String::new(), value)];
    let mut next = 0;
    while let Some((way, value)) = all.get(next).cloned() {
        next += 1;
        match value {
            Value::Object(members) => {
                all.extend(members.iter().map(|(name, value)| {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    (format!("{way}/{name}"), value)
                }));
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                all.extend(items.map(|(place, value)| (format!("{way}/{place}"), value)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    all
}

#[test]
fn what_is_kept_is_what_the_types_say() {
    let made = document().unwrap();
    assert!(
        kept() == made,
        "functions/openapi.json is not what the types say: run `cargo dev openapi`"
    );
}

#[test]
fn it_describes_the_routes_of_the_template_and_no_others() {
    let document = kept();
    let described: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(route, _)| route)
        .collect();
    assert_eq!(described, template::routes().unwrap().into_keys().collect());
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = kept();
    let referred: BTreeSet<&str> = parts(&document)
        .into_iter()
        .filter(|(way, _)| way.ends_with("/$ref"))
        .map(|(_, target)| target.as_str().unwrap())
        .collect();
    for target in &referred {
        let way = target.strip_prefix('#').unwrap();
        assert!(document.pointer(way).is_some(), "{target}");
    }
    for kind in ["schemas", "parameters", "headers", "examples"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let target = format!("#/components/{kind}/{name}");
            assert!(referred.contains(target.as_str()), "{target} is not used");
        }
    }
}

#[test]
fn every_link_names_an_operation_and_parameters_that_it_has() {
    let document = kept();
    let by_id = |id: &Value| {
        let all = operations(&document);
        let found = all
            .into_iter()
            .find(|(_, operation)| operation["operationId"] == *id);
        found.unwrap_or_else(|| panic!("{id} is no operation")).1
    };
    let links: Vec<&Value> = parts(&document)
        .into_iter()
        .filter(|(way, _)| way.rsplit('/').nth(1) == Some("links"))
        .map(|(_, link)| link)
        .collect();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        let target = by_id(&link["operationId"]);
        let parameters = target["parameters"].as_array().cloned().unwrap_or_default();
        let takes: Vec<&str> = parameters
            .iter()
            .map(|parameter| {
                let way = parameter["$ref"].as_str().unwrap();
                let parameter = document.pointer(way.strip_prefix('#').unwrap()).unwrap();
                parameter["name"].as_str().unwrap()
            })
            .collect();
        for name in link["parameters"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
        {
            assert!(takes.contains(&name.as_str()), "{name} of {link}");
        }
        let has_body = target.get("requestBody").is_some();
        assert!(has_body || link.get("requestBody").is_none(), "{link}");
    }
}

/// What the description says of bodies: the schema that each refers to, and its examples.
fn bodies(document: &Value) -> Vec<(String, &Value)> {
    let contents = parts(document)
        .into_iter()
        .filter(|(way, _)| way.starts_with("/paths") && way.rsplit('/').nth(1) == Some("content"));
    contents
        .flat_map(|(way, content)| {
            let schema = &content["schema"];
            let name = schema
                .get("$ref")
                .or_else(|| schema.pointer("/allOf/0/$ref"));
            let name = name.and_then(Value::as_str).unwrap_or("none");
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            let examples = content["examples"].as_object();
            let examples = examples.unwrap_or_else(|| panic!("{way} has no examples"));
            examples.values().map(move |example| {
                let shared = example.get("$ref").and_then(Value::as_str);
                let shared = shared.and_then(|way| document.pointer(way.strip_prefix('#')?));
                (name.clone(), &shared.unwrap_or(example)["value"])
            })
        })
        .collect()
}

fn reads_as<T: Serialize + DeserializeOwned>(example: &Value) {
    let read: T = serde_json::from_value(example.clone())
        .unwrap_or_else(|error| panic!("{error}: {example}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), *example);
}

#[test]
fn every_example_is_one_of_its_type() {
    let document = kept();
    let mut seen = BTreeSet::new();
    for (name, example) in bodies(&document) {
        match name.as_str() {
            "SaveLead" => reads_as::<api::SaveLead>(example),
            "SavedLead" => reads_as::<api::SavedLead>(example),
            "LogReply" => reads_as::<api::LogReply>(example),
            "StatusesRequest" => reads_as::<api::StatusesRequest>(example),
            "StatusesReply" => reads_as::<api::StatusesReply>(example),
            "RecheckReply" => reads_as::<api::RecheckReply>(example),
            "VerifyRequest" => reads_as::<api::VerifyRequest>(example),
            "VerificationReply" => reads_as::<api::VerificationReply>(example),
            "SendChecksRequest" => reads_as::<api::SendChecksRequest>(example),
            "SendChecksReply" => reads_as::<api::SendChecksReply>(example),
            "SendRequest" => reads_as::<api::SendRequest>(example),
            "SendReply" => reads_as::<api::SendReply>(example),
            "SaveWebhook" => reads_as::<api::SaveWebhook>(example),
            "WebhookReply" => reads_as::<api::WebhookReply>(example),
            "NotificationReply" => reads_as::<api::NotificationReply>(example),
            "SnsMessage" => reads_as::<notification::SnsMessage>(example),
            "Reputation" => reads_as::<Reputation>(example),
            "Problem" => reads_as::<api::Problem>(example),
            // The keys of permits are a standard's, not a type of ours.
            "none" => reads_as::<jsonwebtoken::jwk::JwkSet>(example),
            other => panic!("nobody reads the examples of {other}"),
        }
        seen.insert(name);
    }
    assert_eq!(seen.len(), 19, "{seen:?}");
}

/// What the stand-in signs the functions believe, as its own tests show.
#[test]
fn a_message_of_sns_is_described_as_the_stand_in_sends_it() {
    let sent = crate::ses::sns_envelope("{}", jiff::Timestamp::UNIX_EPOCH);
    let described: notification::SnsMessage = serde_json::from_value(sent.clone()).unwrap();
    let read = serde_json::to_value(&described).unwrap();
    for (name, value) in read.as_object().unwrap() {
        let same = [sent[name].as_str(), value.as_str()].map(Option::unwrap);
        assert!(
            same[0] == same[1] || name == "Timestamp",
            "{name}: {same:?}"
        );
    }
}

#[test]
fn the_story_of_the_examples_is_the_products_own() {
    let document = kept();
    let example = |way: &str| document.pointer(way).unwrap_or_else(|| panic!("{way}"));
    let of_leads = "/paths/~1v1~1leads~1{id}/get/responses/200/content/application~1json/examples";
    let blocklisted = example(&format!("{of_leads}/blocklisted/value"));
    assert_eq!(blocklisted["reason"], "hard_bounce");
    assert_eq!(blocklisted["may_check_again"], true);
    let pressed = "/paths/~1v1~1leads~1{id}~1rechecks/post/responses/200/content/application~1json/examples/sent/value";
    assert_eq!(example(pressed)["status"]["status"], "active");
    let blocked = example("/components/examples/blocked/value");
    assert_eq!(blocked["blocked"][0]["reason"], "spam_complaint");
    assert_eq!(blocked["blocked"][0]["resolution"], "never");
}

#[test]
fn rusts_own_links_do_not_reach_the_readers() {
    let document = kept();
    for (way, part) in parts(&document) {
        let description = part.as_str().filter(|_| way.ends_with("/description"));
        assert!(
            !description.is_some_and(|text| text.contains("[`")),
            "{way}: {part}"
        );
    }
}

#[test]
fn neither_the_functions_nor_the_widget_carry_schemas() {
    for package in ["leadlight-functions", "leadlight-popover"] {
        let tree = crate::tools::cargo()
            .args(["tree", "--package", package, "--target", "all"])
            .args(["--edges", "normal", "--prefix", "none"])
            .output()
            .unwrap();
        assert!(tree.status.success(), "{tree:?}");
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.contains("leadlight v"), "{tree}");
        assert!(!tree.contains("schemars"), "{package}: {tree}");
    }
}
