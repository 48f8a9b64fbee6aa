//! Every operation of the API: what it takes, everything that it may answer, and where an answer leads on to.

#![expect(clippy::too_many_lines, reason = "a table; an operation is a row")]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use leadlight::address::Address;
use leadlight::api::{
    LogReply, NotificationOutcome, NotificationReply, Problem, RecheckReply, SaveLead, SaveWebhook,
    SavedLead, SendChecksReply, SendChecksRequest, SendReply, SendRequest, StatusesReply,
    StatusesRequest, VerificationReply, VerifyRequest, WebhookReply,
};
use leadlight::lead::CheckAgainRefusal;
use leadlight::reputation::Reputation;
use leadlight_functions::access::{Scope, TokenError};
use leadlight_functions::problem::Refusal;
use leadlight_functions::security::HEADERS;
use leadlight_functions::sends::MailError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::examples;
use super::notification::{self, SnsMessage};
use super::schemas::Schemas;

/// The headers of every answer.
pub(super) const EVERY_ANSWER: [&str; 6] = [
    "Cache-Control",
    "Content-Security-Policy",
    "Cross-Origin-Resource-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
];
/// The headers of every answer to a token that is believed.
pub(super) const OF_LIMITS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// One operation.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    /// What the token must be good for; none is needed where this is absent.
    pub(super) scope: Option<Scope>,
    /// The names of its parameters, see [`parameters`].
    pub(super) parameters: &'static [&'static str],
    /// The body's schema and its examples.
    pub(super) body: Option<(Value, Value)>,
    pub(super) answers: Vec<Answer>,
    pub(super) refusals: Vec<Refused>,
}

/// An answer that is no refusal.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) description: &'static str,
    /// Its headers beside [`EVERY_ANSWER`].
    pub(super) headers: &'static [&'static str],
    /// The body's schema and its examples.
    pub(super) body: Option<(Value, Value)>,
    pub(super) links: Map<String, Value>,
}

/// A refusal, as an example.
#[derive(Clone)]
pub(super) struct Refused {
    pub(super) name: String,
    pub(super) problem: Problem,
    /// Its headers beside [`EVERY_ANSWER`].
    pub(super) headers: Vec<&'static str>,
}

/// What the operations are about.
pub(super) fn tags() -> Value {
    json!([
        { "name": "leads", "description": "A lead is a person in the CRM, under the CRM's own id. Saving one verifies its address." },
        { "name": "sending", "description": "The gate: nobody who is blocked is mailed." },
        { "name": "verifications", "description": "What is to be said of an address, for forms." },
        { "name": "account", "description": "Where changes are told, and what became of the account's messages." },
        { "name": "notifications", "description": "What SES tells, by way of SNS, where that delivers by HTTPS." },
        { "name": "description", "description": "This document." },
    ])
}

/// The parameters, by name.
pub(super) fn parameters() -> Value {
    let query = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    let day = json!({ "type": "string", "format": "date" });
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 });
    let cursor = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" });
    // One key, with or without the quotes of the IETF's draft.
    let key =
        json!({ "type": "string", "pattern": "^(\"[!-~]{1,128}\"|(?!\".*\"$)[!-~]{1,128})$" });
    json!({
        "lead": {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The lead, by the CRM's own id",
            "schema": { "$ref": "#/components/schemas/LeadId" },
            "example": "lead-1042",
        },
        "limit": query("limit", "The most entries of a page", limit),
        "cursor": query("cursor", "`next_cursor` of the page before; absent for the first", cursor),
        "from": query("from", "The first day (UTC), at most 92 days with the last; 30 days in all if absent", day.clone()),
        "to": query("to", "The last day (UTC); today if absent", day),
        "idempotency_key": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Names the message: under one key at most one is sent, within 24 hours. Without a key every request is a message of its own",
            "schema": key,
            "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
        },
    })
}

/// The headers of answers, by name; those that only some of the refusals with one status have, a second time.
pub(super) fn headers() -> Value {
    let header = |description: &str, required: bool, schema: Value| json!({ "description": description, "required": required, "schema": schema });
    let seconds = json!({ "type": "integer", "minimum": 1 });
    let again = "Seconds after which trying again makes sense";
    let challenge = json!({ "type": "string", "pattern": "^Bearer realm=\"leadlight\"" });
    let token = "What is wrong with the token (RFC 6750 section 3)";
    let kept = json!({ "type": "string", "enum": ["no-store", "public, max-age=3600"] });
    let of_browsers = |name: &str| {
        let value = HEADERS.into_iter().find(|(known, _)| known == name);
        let value = value.and_then(|(_, value)| value.to_str().ok().map(str::to_owned));
        let schema = json!({ "type": "string", "const": value });
        header("For browsers, always the same", true, schema)
    };
    let left = "What is left in this minute (UTC) of the limits of the token and of the account: requests `r`, and seconds `t` until it \
        ends (draft-ietf-httpapi-ratelimit-headers-11)";
    let of_left = json!({ "type": "string", "pattern": "^\"token\";r=[0-9]+;t=[0-9]+, \"account\";r=[0-9]+;t=[0-9]+$" });
    let limits = "The limits themselves: requests `q` within `w` seconds";
    let of_limits = json!({ "type": "string", "pattern": "^\"token\";q=[0-9]+;w=60, \"account\";q=[0-9]+;w=60$" });
    json!({
        "Content-Security-Policy": of_browsers("content-security-policy"),
        "Cross-Origin-Resource-Policy": of_browsers("cross-origin-resource-policy"),
        "Referrer-Policy": of_browsers("referrer-policy"),
        "Strict-Transport-Security": of_browsers("strict-transport-security"),
        "RateLimit": header(left, true, of_left.clone()),
        "RateLimit-sometimes": header(left, false, of_left),
        "RateLimit-Policy": header(limits, true, of_limits.clone()),
        "RateLimit-Policy-sometimes": header(limits, false, of_limits),
        "Cache-Control": header("Whether the answer may be kept", true, kept),
        "X-Content-Type-Options": of_browsers("x-content-type-options"),
        "Retry-After": header(again, true, seconds.clone()),
        "Retry-After-sometimes": header(again, false, seconds),
        "WWW-Authenticate": header(token, true, challenge.clone()),
        "WWW-Authenticate-sometimes": header(token, false, challenge),
    })
}

/// All operations.
pub(super) fn all(schemas: &mut Schemas) -> anyhow::Result<Vec<Operation>> {
    let _of_every_refusal = schemas.given::<Problem>();
    let mut all = leads(schemas)?;
    all.extend(sending(schemas)?);
    all.extend(account(schemas)?);
    Ok(all)
}

fn leads(schemas: &mut Schemas) -> anyhow::Result<Vec<Operation>> {
    let save = Operation {
        method: "put",
        path: "/v1/leads/{id}",
        id: "save_lead",
        tag: "leads",
        summary: "Save a lead",
        description: "A new address is verified. A lead whose former address was blocklisted keeps that block until Check again \
            passes. The same call again changes nothing.",
        scope: Some(Scope::LeadsWrite),
        parameters: &["lead"],
        body: Some(body(schemas.taken::<SaveLead>(), examples::save_lead())?),
        answers: vec![
            Answer::new(
                200,
                "The lead as it is now",
                reply::<SavedLead>(schemas, examples::lead_shown()?)?,
            )
            .links(from_lead("$request.path.id")),
            Answer::new(
                201,
                "The lead, saved for the first time",
                reply::<SavedLead>(schemas, examples::lead_created()?)?,
            )
            .links(from_lead("$request.path.id")),
        ],
        refusals: [
            of_bodies(
                65_536,
                "/standing",
                "unknown variant `happy`, expected one of `active`, `unconfirmed`, `unsubscribed`",
            ),
            of_tokens(Scope::LeadsWrite),
            of_leads(),
            of_addresses("/address"),
        ]
        .concat(),
    };
    let show = Operation {
        method: "get",
        path: "/v1/leads/{id}",
        id: "show_lead",
        tag: "leads",
        summary: "Show a lead",
        description: "Its address and its status.",
        scope: Some(Scope::LeadsRead),
        parameters: &["lead"],
        body: None,
        answers: vec![
            Answer::new(
                200,
                "The lead",
                reply::<SavedLead>(schemas, examples::lead_shown()?)?,
            )
            .links(from_lead("$response.body#/lead")),
        ],
        refusals: [of_tokens(Scope::LeadsRead), of_leads(), of_unknown_leads()].concat(),
    };
    let next_page = link(
        "read_log",
        &json!({ "id": "$request.path.id", "cursor": "$response.body#/next_cursor" }),
    );
    let log = Operation {
        method: "get",
        path: "/v1/leads/{id}/log",
        id: "read_log",
        tag: "leads",
        summary: "Read a lead's log",
        description: "What happened to the lead and its addresses, newest first.",
        scope: Some(Scope::LeadsRead),
        parameters: &["lead", "limit", "cursor"],
        body: None,
        answers: vec![
            Answer::new(
                200,
                "A page of the log",
                reply::<LogReply>(schemas, examples::log()?)?,
            )
            .links([("next_page", next_page)]),
        ],
        refusals: [
            of_tokens(Scope::LeadsRead),
            of_leads(),
            of_unknown_leads(),
            vec![
                Refused::new(
                    "limit",
                    Refusal::invalid_parameter("limit", "must be a number from 1 to 100"),
                ),
                Refused::new(
                    "cursor",
                    Refusal::invalid_parameter(
                        "cursor",
                        "must be the next_cursor of an earlier page",
                    ),
                ),
            ],
        ]
        .concat(),
    };
    let statuses = Operation {
        method: "post",
        path: "/v1/statuses",
        id: "read_statuses",
        tag: "leads",
        summary: "Read the statuses of up to 100 leads",
        description: "One entry for each different lead, in the order asked: all the bubbles of a page at once. It only reads.",
        scope: Some(Scope::Statuses),
        parameters: &[],
        body: Some(body(
            schemas.taken::<StatusesRequest>(),
            examples::statuses_request()?,
        )?),
        answers: vec![
            Answer::new(
                200,
                "The statuses",
                reply::<StatusesReply>(schemas, examples::statuses()?)?,
            )
            .links(from_lead("$response.body#/statuses/0/lead")),
        ],
        refusals: [
            of_bodies(65_536, "/leads", "at least one lead is needed"),
            of_tokens(Scope::Statuses),
        ]
        .concat(),
    };
    let now = examples::now()?;
    let soon = now + SignedDuration::from_mins(10);
    let too_often = |what| Refusal::too_many_rechecks(what, soon, now);
    let refused = |name, refusal| Refused::new(name, Refusal::check_again_refused(refusal));
    let recheck = Operation {
        method: "post",
        path: "/v1/leads/{id}/rechecks",
        id: "check_again",
        tag: "leads",
        summary: "Press Check again",
        description: "Verifies the lead's address now, and lifts the block if it can be delivered to. Complaints are never lifted \
            so. Answers within five seconds; an answer with outcome `fail` has changed nothing.",
        scope: Some(Scope::Rechecks),
        parameters: &["lead"],
        body: None,
        answers: vec![
            Answer::new(
                200,
                "How it ended, and the status afterwards",
                reply::<RecheckReply>(schemas, examples::recheck()?)?,
            )
            .links(from_lead("$response.body#/status/lead")),
        ],
        refusals: [
            of_tokens(Scope::Rechecks),
            of_leads(),
            of_unknown_leads(),
            vec![
                refused("not_blocklisted", CheckAgainRefusal::NotBlocklisted),
                refused("complaint", CheckAgainRefusal::Complaint),
                refused("support_only", CheckAgainRefusal::SupportOnly),
                refused("address_unchanged", CheckAgainRefusal::AddressUnchanged),
                refused("too_early", CheckAgainRefusal::TooEarly { from: soon }),
                Refused::new("of_the_lead", too_often("lead")),
                Refused::new("of_the_account", too_often("account")),
            ],
        ]
        .concat(),
    };
    Ok(vec![save, show, log, statuses, recheck])
}

fn sending(schemas: &mut Schemas) -> anyhow::Result<Vec<Operation>> {
    let foreign_lead = link(
        "show_lead",
        &json!({ "id": "$response.body#/recipients/0/lead_id" }),
    );
    let check = Operation {
        method: "post",
        path: "/v1/send-checks",
        id: "check_send",
        tag: "sending",
        summary: "Ask whether a message may go",
        description: "For up to 1,000 recipients: one answer for each, and one decision for all together. Nothing is sent. Where the \
            deployment signs permits, an allowed check brings one.",
        scope: Some(Scope::Sends),
        parameters: &[],
        body: Some(body(
            schemas.taken::<SendChecksRequest>(),
            examples::send_checks()?,
        )?),
        answers: vec![
            Answer::new(
                200,
                "The gate's answer",
                reply::<SendChecksReply>(schemas, examples::sends_checked()?)?,
            )
            .links([("show_first_recipient", foreign_lead)]),
        ],
        refusals: [
            of_bodies(1_048_576, "/recipients", "at least one recipient is needed"),
            of_tokens(Scope::Sends),
            of_addresses("/recipients/0/address"),
        ]
        .concat(),
    };
    let first_lead = link(
        "show_lead",
        &json!({ "id": "$response.body#/sent_to/0/lead_id" }),
    );
    let send = Operation {
        method: "post",
        path: "/v1/sends",
        id: "send",
        tag: "sending",
        summary: "Send a message through the gate",
        description: "The message goes to Amazon SES if the gate lets it through: with `mode` `all_or_nothing` if nobody is blocked, \
            with `skip_blocked` to those who are not. To, Cc and Bcc together have 1 to 50 recipients.",
        scope: Some(Scope::Sends),
        parameters: &["idempotency_key"],
        body: Some(body(schemas.taken::<SendRequest>(), examples::send()?)?),
        answers: vec![
            Answer::new(
                200,
                "Amazon SES has the message",
                reply::<SendReply>(schemas, examples::sent()?)?,
            )
            .links([("show_first_recipient", first_lead)]),
        ],
        refusals: [
            of_bodies(5_242_880, "/subject", "a message needs a subject"),
            of_tokens(Scope::Sends),
            of_addresses("/to/0/address"),
            of_sends()?,
        ]
        .concat(),
    };
    let keys = json!({
        "type": "object",
        "required": ["keys"],
        "properties": { "keys": { "type": "array", "items": {
            "type": "object",
            "required": ["kty", "kid", "crv", "x"],
            "properties": {
                "kty": { "type": "string", "const": "OKP" },
                "crv": { "type": "string", "const": "Ed25519" },
                "kid": { "type": "string" },
                "x": { "type": "string" },
            },
        } } },
    });
    let permit_keys = Operation {
        method: "get",
        path: "/v1/permit-keys",
        id: "show_permit_keys",
        tag: "sending",
        summary: "Show the public keys of permits",
        description: "A JWK set (RFC 7517), empty where the deployment signs no permits. Needs no token.",
        scope: None,
        parameters: &[],
        body: None,
        answers: vec![Answer::new(
            200,
            "The keys",
            (
                keys,
                json!({ "one_key": { "value": examples::permit_keys()? } }),
            ),
        )],
        refusals: Vec::new(),
    };
    let verify = Operation {
        method: "post",
        path: "/v1/verifications",
        id: "verify",
        tag: "verifications",
        summary: "Say what is to be said of an address",
        description: "Nothing is saved. That a text is no address is an answer like any other.",
        scope: Some(Scope::Verifications),
        parameters: &[],
        body: Some(body(schemas.taken::<VerifyRequest>(), examples::verify())?),
        answers: vec![Answer::new(
            200,
            "The verdict",
            reply::<VerificationReply>(schemas, examples::verified()?)?,
        )],
        refusals: [
            of_bodies(65_536, "/address", "this field is needed"),
            of_tokens(Scope::Verifications),
        ]
        .concat(),
    };
    Ok(vec![check, send, permit_keys, verify])
}

fn account(schemas: &mut Schemas) -> anyhow::Result<Vec<Operation>> {
    let webhook = |method, id, summary, description| Operation {
        method,
        path: "/v1/webhook",
        id,
        tag: "account",
        summary,
        description,
        scope: Some(Scope::Webhooks),
        parameters: &[],
        body: None,
        answers: Vec::new(),
        refusals: of_tokens(Scope::Webhooks),
    };
    let links = || {
        [
            ("show_webhook", link("show_webhook", &json!({}))),
            ("remove_webhook", link("remove_webhook", &json!({}))),
        ]
    };
    let mut show = webhook(
        "get",
        "show_webhook",
        "Show the webhook",
        "Where changes are told, and whether that works.",
    );
    show.answers.push(Answer::new(
        200,
        "The webhook",
        reply::<WebhookReply>(schemas, examples::webhook(false)?)?,
    ));
    show.refusals
        .push(Refused::new("no_webhook", Refusal::no_webhook()));
    let mut save = webhook(
        "put",
        "save_webhook",
        "Save the webhook",
        "Changes of status are delivered to it, signed after Standard Webhooks. A webhook that was disabled is enabled.",
    );
    save.body = Some(body(
        schemas.taken::<SaveWebhook>(),
        examples::save_webhook(),
    )?);
    save.answers.extend([
        Answer::new(
            200,
            "The webhook, with its secret if that is new",
            reply::<WebhookReply>(schemas, examples::webhook(false)?)?,
        )
        .links(links()),
        Answer::new(
            201,
            "The webhook, saved for the first time, with its secret",
            reply::<WebhookReply>(schemas, examples::webhook(true)?)?,
        )
        .links(links()),
    ]);
    save.refusals
        .extend(of_bodies(65_536, "/url", "must be an https URL"));
    let mut remove = webhook(
        "delete",
        "remove_webhook",
        "Remove the webhook",
        "Nothing is told any more. Once more changes nothing.",
    );
    remove
        .answers
        .push(Answer::empty(204, "There is no webhook any more"));

    let reputation = Operation {
        method: "get",
        path: "/v1/reputation",
        id: "read_reputation",
        tag: "account",
        summary: "Read what became of the account's messages",
        description: "Day by day, by sending domain and by mailbox provider, beside SES's limits.",
        scope: Some(Scope::Reputation),
        parameters: &["from", "to"],
        body: None,
        answers: vec![Answer::new(
            200,
            "The figures",
            reply::<Reputation>(schemas, examples::reputation()?)?,
        )],
        refusals: [
            of_tokens(Scope::Reputation),
            vec![
                Refused::new(
                    "no_day",
                    Refusal::invalid_parameter("from", "must be a day such as 2026-03-31"),
                ),
                Refused::new(
                    "order",
                    Refusal::invalid_parameter("from", "must not be after `to`"),
                ),
                Refused::new(
                    "too_many_days",
                    Refusal::invalid_parameter(
                        "from",
                        "must be at most 92 days, with the last, before `to`",
                    ),
                ),
            ],
        ]
        .concat(),
    };
    let description = Operation {
        method: "get",
        path: "/v1/openapi.json",
        id: "describe",
        tag: "description",
        summary: "Describe the API",
        description: "This document. Needs no token.",
        scope: None,
        parameters: &[],
        body: None,
        answers: vec![Answer::new(
            200,
            "The description",
            (
                json!({ "type": "object", "required": ["openapi", "info", "paths"] }),
                json!({}),
            ),
        )],
        refusals: Vec::new(),
    };
    let outcome = |outcome| NotificationReply { outcome };
    let away = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let nobodys = std::io::Error::other("find the account of the notification");
    let notify = Operation {
        method: "post",
        path: "/v1/notifications",
        id: "receive_notification",
        tag: "notifications",
        summary: "Receive a message of Amazon SNS",
        description: "For topics that deliver by HTTPS; SNS alone can sign what is taken here (SNS developer guide, *verify message \
            signatures*). The body is SNS's own JSON, said to be plain text, of at most 1 MB. A 4xx makes SNS give the message up, \
            into the dead letters of its subscription; a 5xx makes it come again.",
        scope: None,
        parameters: &[],
        body: Some(body(
            schemas.taken::<SnsMessage>(),
            notification::examples(examples::now()?),
        )?),
        answers: vec![Answer::new(
            200,
            "What became of it",
            reply::<NotificationReply>(
                schemas,
                vec![
                    ("recorded", outcome(NotificationOutcome::Recorded)),
                    ("confirmed", outcome(NotificationOutcome::Confirmed)),
                    ("noted", outcome(NotificationOutcome::Noted)),
                ],
            )?,
        )],
        refusals: vec![
            Refused::new(
                "no_json",
                Refusal::malformed_json("it ceases to be JSON at line 1, column 12"),
            ),
            Refused::new(
                "untrusted",
                Refusal::untrusted_message("signature", "/Signature", "the signature is wrong"),
            ),
            Refused::new("too_large", Refusal::body_too_large(1_048_576)),
            Refused::new(
                "raw",
                Refusal::invalid_field("/Type", "missing", "this field is needed"),
            ),
            Refused::new("unreadable", Refusal::unreadable_notification(&nobodys)),
            Refused::new(
                "unknown_subscription",
                Refusal::unknown_subscription(&nobodys),
            ),
            Refused::new("internal", Refusal::internal(&away)),
            Refused::new("unavailable", Refusal::unavailable(&away)),
        ],
    };
    Ok(vec![show, save, remove, reputation, notify, description])
}

impl Answer {
    fn new(status: u16, description: &'static str, body: (Value, Value)) -> Self {
        Self {
            body: Some(body),
            ..Self::empty(status, description)
        }
    }

    fn empty(status: u16, description: &'static str) -> Self {
        Self {
            status,
            description,
            headers: &[],
            body: None,
            links: Map::new(),
        }
    }

    fn links(mut self, links: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        self.links.extend(
            links
                .into_iter()
                .map(|(name, link)| (name.to_owned(), link)),
        );
        self
    }
}

impl Refused {
    fn new(name: &str, refusal: Refusal) -> Self {
        let problem = refusal.problem().clone();
        let response = refusal.into_response();
        let known = [
            ("retry-after", "Retry-After"),
            ("www-authenticate", "WWW-Authenticate"),
        ];
        let headers = known
            .iter()
            .filter(|(name, _)| response.headers().contains_key(*name));
        Self {
            name: name.to_owned(),
            headers: headers.map(|(_, name)| *name).collect(),
            problem,
        }
    }
}

/// The refusals by their status.
pub(super) fn by_status(refusals: Vec<Refused>) -> BTreeMap<u16, Vec<Refused>> {
    let mut by_status: BTreeMap<u16, Vec<Refused>> = BTreeMap::new();
    for refused in refusals {
        by_status
            .entry(refused.problem.status)
            .or_default()
            .push(refused);
    }
    by_status
}

/// Where an answer about a lead leads on to.
fn from_lead(id: &str) -> [(&'static str, Value); 4] {
    let with_id = || json!({ "id": id });
    let statuses = json!({ "operationId": "read_statuses", "requestBody": { "leads": [id] } });
    [
        ("show_lead", link("show_lead", &with_id())),
        ("read_log", link("read_log", &with_id())),
        ("check_again", link("check_again", &with_id())),
        ("read_statuses", statuses),
    ]
}

fn link(operation: &str, parameters: &Value) -> Value {
    json!({ "operationId": operation, "parameters": parameters })
}

/// A body of what is taken, with examples.
fn body<T: Serialize>(schema: Value, named: Vec<(&str, T)>) -> anyhow::Result<(Value, Value)> {
    let named = named.into_iter().map(|(name, value)| {
        Ok((
            name.to_owned(),
            json!({ "value": serde_json::to_value(value)? }),
        ))
    });
    let examples: Map<String, Value> = named.collect::<anyhow::Result<_>>()?;
    Ok((schema, Value::Object(examples)))
}

/// A body of what is given, with examples.
fn reply<T: Serialize + JsonSchema>(
    schemas: &mut Schemas,
    named: Vec<(&str, T)>,
) -> anyhow::Result<(Value, Value)> {
    body(schemas.given::<T>(), named)
}

/// What every operation that needs a token may refuse.
fn of_tokens(scope: Scope) -> Vec<Refused> {
    let word = scope.word();
    let challenge =
        format!("Bearer realm=\"leadlight\", error=\"insufficient_scope\", scope=\"{word}\"");
    let lacks = format!("the token lacks the scope {word}");
    let other = "Bearer realm=\"leadlight\", error=\"insufficient_scope\"";
    let away = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    // The same in every description.
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(494_000);
    let soon = now + SignedDuration::from_secs(42);
    vec![
        Refused::new("no_token", TokenError::Missing.into()),
        Refused::new("expired", TokenError::Expired.into()),
        Refused::new("scope", Refusal::forbidden("scope", lacks, &challenge)),
        Refused::new(
            "other_leads",
            Refusal::forbidden("lead", "the token is restricted to other leads", other),
        ),
        Refused::new("foreign_origin", Refusal::foreign_origin()),
        Refused::new(
            "too_many_requests",
            Refusal::too_many_requests("token", 300, soon, now),
        ),
        Refused::new("internal", Refusal::internal(&away)),
        Refused::new("unavailable", Refusal::unavailable(&away)),
    ]
}

/// What every operation that takes a body may refuse.
fn of_bodies(most_octets: usize, field: &str, detail: &str) -> Vec<Refused> {
    vec![
        Refused::new(
            "no_json",
            Refusal::malformed_json("it ceases to be JSON at line 1, column 12"),
        ),
        Refused::new("too_large", Refusal::body_too_large(most_octets)),
        Refused::new("media_type", Refusal::unsupported_media_type()),
        Refused::new(
            "missing_field",
            Refusal::invalid_field(field, "missing", "this field is needed"),
        ),
        Refused::new(
            "wrong_field",
            Refusal::invalid_field(field, "invalid_value", detail),
        ),
    ]
}

/// What every operation with a lead in its path may refuse.
fn of_leads() -> Vec<Refused> {
    let detail = "must not hold '#' (position 5)";
    vec![Refused::new(
        "lead_id",
        Refusal::invalid_field("id", "invalid_lead_id", detail),
    )]
}

fn of_unknown_leads() -> Vec<Refused> {
    vec![Refused::new("unknown_lead", Refusal::unknown_lead())]
}

/// What every operation that takes an address may refuse.
fn of_addresses(field: &str) -> Vec<Refused> {
    let wrong = [
        ("invalid_address", "pat at harbour"),
        ("address_in_a_name", "Pat <pat@harbour.example>"),
        ("unusual_address", "\"pat ferry\"@harbour.example"),
    ];
    let refused = wrong.into_iter().filter_map(|(name, text)| {
        let error = Address::parse(text).err()?;
        Some(Refused::new(name, Refusal::invalid_address(field, &error)))
    });
    refused.collect()
}

/// What the gate and SES may refuse.
fn of_sends() -> anyhow::Result<Vec<Refused>> {
    let tag = examples::REQUEST_TAG;
    let lost = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let ses = |name, error: MailError| Refused::new(name, Refusal::mail(&error, tag));
    Ok(vec![
        Refused::new("blocked", Refusal::recipients_blocked(examples::blocked()?)),
        Refused::new("foreign_sender", Refusal::foreign_sender()),
        Refused::new(
            "expired_permit",
            Refusal::invalid_permit("expired", "the permit has expired; check again"),
        ),
        Refused::new(
            "idempotency_key",
            Refusal::invalid_field(
                "idempotency-key",
                "invalid_key",
                "must be one key of 1 to 128 visible ASCII characters",
            ),
        ),
        Refused::new("reused_key", Refusal::idempotency_key_reused()),
        Refused::new("in_progress", Refusal::request_in_progress()),
        Refused::new(
            "earlier_outcome_unknown",
            Refusal::earlier_outcome_unknown(tag),
        ),
        ses("outcome_unknown", MailError::Unknown(lost().into())),
        ses("too_fast", MailError::Throttled),
        ses("quota", MailError::QuotaUsedUp),
        ses(
            "rejected",
            MailError::Rejected {
                because: Some("Transaction failed: Duplicate header 'X-Campaign'.".to_owned()),
            },
        ),
        ses("mail_from", MailError::MailFromNotVerified),
        ses(
            "stopped",
            MailError::Stopped {
                code: "account_suspended",
            },
        ),
    ])
}
