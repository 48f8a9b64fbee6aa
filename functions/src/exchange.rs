//! What every HTTP exchange has in common: the path and the body in, JSON and its headers out.

use core::fmt::Write;
use std::sync::OnceLock;
use std::time::Instant;

use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::lead::LeadId;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::limits::Quota;
use crate::problem::Refusal;
use crate::security::secure;

/// The most octets of a body. The largest that is needed, 100 leads with ids of 128, has 14 KB.
pub(crate) const MAX_BODY_OCTETS: usize = 64 * 1024;

/// The path, segment by segment.
pub(crate) fn segments(request: &Request) -> Vec<&str> {
    request
        .uri()
        .path()
        .trim_start_matches('/')
        .split('/')
        .collect()
}

/// The lead that a segment of the path names.
pub(crate) fn lead_id(segment: &str) -> Result<LeadId, Refusal> {
    let invalid = |detail: String| Refusal::invalid_field("id", "invalid_lead_id", detail);
    let decoded = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| invalid("must be UTF-8".to_owned()))?;
    LeadId::parse(&decoded).map_err(|error| invalid(error.to_string()))
}

/// The value of a query parameter.
pub(crate) fn parameter(request: &Request, name: &str) -> Option<String> {
    let pairs = request
        .uri()
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let value = pairs
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// Reads the body as JSON with the fields of `T`. `required` are those of its fields that must not be missing, so that a missing
/// one is named like a wrong one.
pub(crate) fn read_json<T: DeserializeOwned>(
    request: &Request,
    required: &[&str],
) -> Result<T, Refusal> {
    read_long_json(request, required, MAX_BODY_OCTETS)
}

/// The same for bodies of up to `most_octets`.
pub(crate) fn read_long_json<T: DeserializeOwned>(
    request: &Request,
    required: &[&str],
    most_octets: usize,
) -> Result<T, Refusal> {
    if !is_json(request) {
        return Err(Refusal::unsupported_media_type());
    }
    read_undeclared_json(request, required, most_octets)
}

/// The same, whatever the body is said to be.
pub(crate) fn read_undeclared_json<T: DeserializeOwned>(
    request: &Request,
    required: &[&str],
    most_octets: usize,
) -> Result<T, Refusal> {
    let body: &[u8] = request.body().as_ref();
    if body.len() > most_octets {
        return Err(Refusal::body_too_large(most_octets));
    }
    let text =
        core::str::from_utf8(body).map_err(|_| Refusal::malformed_json("the body is not UTF-8"))?;
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        Refusal::malformed_json(format!(
            "it ceases to be JSON at line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    let Some(fields) = json.as_object() else {
        return Err(Refusal::invalid_field(
            "",
            "invalid_type",
            "the body must be an object",
        ));
    };
    if let Some(missing) = required.iter().find(|name| !fields.contains_key(**name)) {
        return Err(Refusal::invalid_field(
            format!("/{missing}"),
            "missing",
            "this field is needed",
        ));
    }
    serde_path_to_error::deserialize(json).map_err(|error| {
        let field = pointer(error.path());
        Refusal::invalid_field(field, "invalid_value", error.into_inner().to_string())
    })
}

fn is_json(request: &Request) -> bool {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        // Writing to a string cannot fail.
        let _ = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Unknown => Ok(()),
        };
    }
    pointer
}

/// A response with a JSON body.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Result<Response<Body>, Refusal> {
    let text = serde_json::to_string(body).map_err(|error| Refusal::internal(&error))?;
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An exchange from its begin to its end.
#[derive(Debug)]
pub(crate) struct Exchange {
    flow: &'static str,
    started: Instant,
    /// What the caller is told of its limits, once it is known.
    pub(crate) quota: OnceLock<Quota>,
}

impl Exchange {
    pub(crate) fn begin(flow: &'static str) -> Self {
        Self {
            flow,
            started: Instant::now(),
            quota: OnceLock::new(),
        }
    }

    /// The end: a response in any case, and its line in the log.
    pub(crate) fn finish(self, answer: Result<Response<Body>, Refusal>) -> Response<Body> {
        let mut response = respond(self.flow, self.started, answer);
        if let Some(quota) = self.quota.get() {
            quota.tell(response.headers_mut());
        }
        response
    }
}

fn respond(
    flow: &'static str,
    started: Instant,
    answer: Result<Response<Body>, Refusal>,
) -> Response<Body> {
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut response = match answer {
        Ok(response) => {
            tracing::info!(
                flow,
                status = response.status().as_u16(),
                duration_ms,
                "answered"
            );
            response
        }
        Err(refusal) => {
            let (status, problem) = (refusal.status().as_u16(), &refusal.problem().kind);
            let code = refusal.problem().code.as_deref();
            if let Some(error) = refusal.logged_cause() {
                tracing::error!(
                    flow,
                    status,
                    problem,
                    code,
                    duration_ms,
                    error,
                    "could not answer"
                );
            } else {
                tracing::info!(flow, status, problem, code, duration_ms, "refused");
            }
            refusal.into_response()
        }
    };
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    secure(headers);
    response
}
