//! API Gateway in front of the functions: HTTP requests become the events of an HTTP API (payload format 2.0), and back.
//!
//! Shapes after the API Gateway developer guide, *Create AWS Lambda proxy integrations for HTTP APIs*. Authorises nobody: the
//! functions do that themselves.

use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use leadlight::api::Problem;
use leadlight_functions::security::HEADERS;
use serde_json::{Map, Value, json};

use crate::lambdas::Invoke;

/// The most octets of a request's body: what Lambda takes as one event.
const MAX_BODY_OCTETS: usize = 6 * 1024 * 1024;

/// Sends requests to the functions.
#[derive(Clone, Debug)]
pub struct Gateway {
    functions: Arc<dyn Invoke>,
}

/// The event of a request. `query` goes without its `?`; names of headers must be lower case.
#[must_use]
pub fn http_event(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    now: Timestamp,
) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for (name, value) in headers {
        // HTTP APIs join repeated headers with commas.
        let joined = match all.get(*name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => (*value).to_owned(),
        };
        all.insert((*name).to_owned(), joined.into());
    }
    let host = "localhost";
    all.insert("host".to_owned(), host.into());
    let agent = all
        .get("user-agent")
        .cloned()
        .unwrap_or_else(|| "leadlight-dev".into());
    let (text, is_base64) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(body), true),
    };
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": all,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": agent },
            "requestId": uuid::Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "body": (!text.is_empty()).then_some(text),
        "isBase64Encoded": is_base64,
    })
}

impl Gateway {
    pub(crate) fn new(functions: Arc<dyn Invoke>) -> Self {
        Self { functions }
    }

    /// Answers a request as the deployed API does.
    pub async fn answer(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        if body.len() > MAX_BODY_OCTETS {
            return problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The request's body is too large.",
            );
        }
        // What is no text has no place in an event; API Gateway drops it too.
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let query = uri.query().unwrap_or_default();
        let event = http_event(
            method.as_str(),
            uri.path(),
            query,
            &headers,
            &body,
            Timestamp::now(),
        );
        match self.invoke(uri.path(), event).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!("the request could not be handed over: {error:#}");
                problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "The local gateway failed.",
                )
            }
        }
    }

    /// Asks on behalf of this process itself. `key` is the request's `Idempotency-Key`.
    ///
    /// # Errors
    /// When the answer is no JSON.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let token = format!("Bearer {token}");
        let mut headers = vec![
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let body = body.map(Value::to_string).unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let event = http_event(
            method,
            path,
            query,
            &headers,
            body.as_bytes(),
            Timestamp::now(),
        );
        let response = self.invoke(path, event).await?;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), MAX_BODY_OCTETS).await?;
        Ok((
            status,
            serde_json::from_slice(&body).context("read the function's answer as JSON")?,
        ))
    }

    async fn invoke(&self, path: &str, event: Value) -> anyhow::Result<Response> {
        let answer = self.functions.invoke(function_of(path), event).await?;
        let answer: ApiGatewayV2httpResponse =
            serde_json::from_value(answer).context("read the function's answer as a response")?;
        let status = u16::try_from(answer.status_code).unwrap_or_default();
        let body = answer.body.unwrap_or_default();
        let body = if answer.is_base64_encoded {
            STANDARD.decode(&body).context("read the body as base64")?
        } else {
            body.to_vec()
        };
        let mut response = Response::new(axum::body::Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).context("read the status")?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

/// The routes of the deployed API, to the function of each.
fn function_of(path: &str) -> &'static str {
    match path {
        "/v1/statuses" => "statuses",
        "/v1/send-checks" | "/v1/sends" | "/v1/permit-keys" => "sends",
        "/v1/verifications" => "verifications",
        "/v1/webhook" => "webhooks",
        "/v1/reputation" | "/v1/openapi.json" => "reputation",
        "/v1/notifications" => "subscriber",
        _ if path.starts_with("/v1/leads/") && path.ends_with("/rechecks") => "rechecks",
        _ => "leads",
    }
}

/// A problem document (RFC 9457) of the local stack's own.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem = Problem {
        kind: format!("https://leadlight.dev/problems/{code}"),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: Some(detail.to_owned()),
        ..Problem::default()
    };
    let kind = [("content-type", "application/problem+json")];
    let mut response = (status, kind, axum::Json(problem)).into_response();
    response.headers_mut().extend(HEADERS);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_template_goes_to_its_function() {
        let routes = crate::template::routes().unwrap();
        assert!(routes.len() > 10, "{routes:?}");
        for (route, function) in routes {
            let (_, path) = route.split_once(' ').unwrap();
            let path = path.replace("{id}", "lead-1042");
            assert_eq!(function_of(&path), function, "{route}");
        }
    }
}
