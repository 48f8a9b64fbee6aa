//! `cargo dev openapi`: describes the API (OpenAPI 3.1), for clients and for the checks that hold the functions to it.
//!
//! Shapes come from the wire types, refusals from the code that refuses, examples from the domain itself; what is written by hand is
//! which operation gives which, in `operations`. The description is kept in `functions/openapi.json`, and a test holds it against
//! what is made here.

use std::path::PathBuf;

use anyhow::Context as _;
use leadlight_functions::access::Scope;
use leadlight_functions::problem::PROBLEM_JSON;
use serde_json::{Map, Value, json};

use crate::workspace;
use operations::{Answer, Operation};
use schemas::Schemas;

mod examples;
mod notification;
mod operations;
mod schemas;
#[cfg(test)]
mod tests;

/// How the security scheme is called.
const ACCESS_TOKEN: &str = "access_token";
/// The media type of all that is not refused.
const JSON: &str = "application/json";

/// Where the description is kept, with the function that shows it.
#[must_use]
pub fn file() -> PathBuf {
    workspace::root().join("functions/openapi.json")
}

/// Writes the description; answers whether that changed it.
///
/// # Errors
/// When it cannot be made or written.
pub fn refresh() -> anyhow::Result<bool> {
    let (file, new) = (file(), text()?);
    if std::fs::read_to_string(&file).is_ok_and(|old| old == new) {
        return Ok(false);
    }
    std::fs::write(&file, new).with_context(|| format!("write {}", file.display()))?;
    Ok(true)
}

/// The description as it is kept.
fn text() -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(&document()?)?;
    text.push('\n');
    Ok(text)
}

/// The description.
fn document() -> anyhow::Result<Value> {
    let mut schemas = Schemas::default();
    let (mut paths, mut examples) = (Map::new(), Map::new());
    for operation in operations::all(&mut schemas)? {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        let methods = path.as_object_mut().context("a path holds methods")?;
        methods.insert(
            operation.method.to_owned(),
            describe(operation, &mut examples)?,
        );
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Leadlight",
            "summary": "Keeps a CRM from mailing people who cannot, or do not want to, be mailed.",
            "description": INTRODUCTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Wherever this description was read" }],
        "tags": operations::tags(),
        "paths": paths,
        "components": {
            "schemas": schemas.finish()?,
            "parameters": operations::parameters(),
            "headers": operations::headers(),
            "examples": examples,
            "securitySchemes": {
                ACCESS_TOKEN: { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": TOKENS },
            },
        },
    }))
}

const INTRODUCTION: &str = "A status is a function of evidence: what SES, DNS and people told. Save leads, show their statuses, \
    press Check again, and send through the gate.\n\n\
    Every refusal is a problem document (RFC 9457). Its `type` names the kind of problem, `field` what is wrong as a JSON pointer \
    into the body or the name of a header or parameter, and `code` what is wrong with it. Replies may gain members; requests with \
    members that are not described are refused.\n\n\
    API Gateway, in front of the functions, answers some requests by itself, with `{\"message\": …}`: 404 where no route \
    matches, 413 above 10 MB, 429 above the rate of the whole API, and 503 or 500 where a function cannot be reached.";

const TOKENS: &str = "A JWT that the account signs with a private key of its own (ES256 or EdDSA), with `kid` in the header. Claims: \
    `iss` the account, `aud` `leadlight`, `iat` and `exp` at most 60 minutes apart (15 for tokens that stand in a page: those \
    with the scopes of the widget and of forms only, or with `leads`), `scope` words separated by spaces, and `leads`, where it is to \
    be good for these leads alone. Another account's leads do not exist for it.";

/// Describes an operation. What several of them refuse in the same words goes to the shared `examples`.
fn describe(operation: Operation, examples: &mut Map<String, Value>) -> anyhow::Result<Value> {
    let mut answers = Map::new();
    let scope = operation.scope.map(Scope::word);
    let limits = scope.map_or(&[][..], |_| &operations::OF_LIMITS[..]);
    for answer in &operation.answers {
        answers.insert(answer.status.to_string(), describe_answer(answer, limits));
    }
    for (status, refusals) in operations::by_status(operation.refusals) {
        let refused = describe_refusals(refusals, limits, examples)?;
        answers.insert(status.to_string(), refused);
    }
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "security": scope.map_or_else(|| json!([]), |scope| json!([{ ACCESS_TOKEN: [scope] }])),
        "responses": answers,
    });
    let members = described
        .as_object_mut()
        .context("an operation is an object")?;
    if !operation.parameters.is_empty() {
        let parameters = operation.parameters.iter();
        let parameters: Vec<Value> = parameters
            .map(|name| reference("parameters", name))
            .collect();
        members.insert("parameters".to_owned(), parameters.into());
    }
    if let Some((schema, examples)) = operation.body {
        let body = json!({ "required": true, "content": { JSON: { "schema": schema, "examples": examples } } });
        members.insert("requestBody".to_owned(), body);
    }
    Ok(described)
}

fn describe_answer(answer: &Answer, limits: &[&str]) -> Value {
    let headers = operations::EVERY_ANSWER
        .iter()
        .chain(limits)
        .chain(answer.headers);
    let mut described = json!({
        "description": answer.description,
        "headers": references("headers", headers.copied()),
    });
    if let (Some(members), Some((schema, examples))) = (described.as_object_mut(), &answer.body) {
        let content = json!({ JSON: { "schema": schema, "examples": examples } });
        members.insert("content".to_owned(), content);
        if !answer.links.is_empty() {
            members.insert("links".to_owned(), Value::Object(answer.links.clone()));
        }
    }
    described
}

/// All refusals with one status, in one answer.
fn describe_refusals(
    refusals: Vec<operations::Refused>,
    limits: &[&str],
    shared: &mut Map<String, Value>,
) -> anyhow::Result<Value> {
    let mut titles: Vec<String> = Vec::new();
    let mut kinds: Vec<String> = Vec::new();
    let mut headers = references("headers", operations::EVERY_ANSWER);
    // A token that is not believed has no limits.
    headers.extend(limits.iter().map(|name| {
        let component = [name, "-sometimes"].concat();
        ((*name).to_owned(), reference("headers", &component))
    }));
    for name in refusals.iter().flat_map(|refused| &refused.headers) {
        let is_in_all = refusals
            .iter()
            .all(|refused| refused.headers.contains(name));
        let component = if is_in_all {
            (*name).to_owned()
        } else {
            [name, "-sometimes"].concat()
        };
        headers.insert((*name).to_owned(), reference("headers", &component));
    }
    let mut examples = Map::new();
    for refused in refusals {
        if !kinds.contains(&refused.problem.kind) {
            titles.push(refused.problem.title.clone());
            kinds.push(refused.problem.kind.clone());
        }
        let summary = refused.problem.detail.as_ref();
        let summary = summary.unwrap_or(&refused.problem.title).clone();
        let value = serde_json::to_value(&refused.problem)?;
        let mut example = json!({ "summary": summary, "value": value });
        if *shared
            .entry(refused.name.as_str())
            .or_insert_with(|| example.clone())
            == example
        {
            example = reference("examples", &refused.name);
        }
        let taken = examples.insert(refused.name.clone(), example);
        anyhow::ensure!(taken.is_none(), "two examples are called {}", refused.name);
    }
    let schema = json!({
        "allOf": [reference("schemas", "Problem"), { "properties": { "type": { "enum": kinds } } }],
    });
    Ok(json!({
        "description": titles.join("; or: "),
        "headers": headers,
        "content": { PROBLEM_JSON: { "schema": schema, "examples": examples } },
    }))
}

fn references<'a>(kind: &str, names: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
    let references = names
        .into_iter()
        .map(|name| (name.to_owned(), reference(kind, name)));
    references.collect()
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}
