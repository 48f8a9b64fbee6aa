//! `GET`, `PUT` and `DELETE /v1/webhook`: where an account has changes told to it, and whether that works.
//!
//! A secret is shown once, to whoever made it. Saving a webhook that was disabled enables it.

use jiff::{SignedDuration, Timestamp};
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::api::{SaveWebhook, WebhookReply, WebhookState};
use secrecy::{ExposeSecret as _, SecretString};

use crate::access::{Scope, authorize};
use crate::app::App;
use crate::apply::apply;
use crate::deliveries::Reach;
use crate::deliveries::new_secret;
use crate::exchange::{self, Exchange};
use crate::problem::Refusal;
use crate::table::Consistency;
use crate::table::item::{Key, Webhook, WebhookSecret};

/// How long a former secret still signs: long enough to bring the new one to every receiver.
const FORMER_SECRET_SIGNS: SignedDuration = SignedDuration::from_hours(24);

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(app: &App<Reach>, request: Request) -> Response<Body> {
    handle_at(app, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(app: &App<Reach>, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("webhooks");
    let answer = answer(app, &exchange, &request, now).await;
    exchange.finish(answer)
}

async fn answer(
    app: &App<Reach>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    match (exchange::segments(request).as_slice(), request.method()) {
        (["v1", "webhook"], &Method::GET) => show(app, exchange, request, now).await,
        (["v1", "webhook"], &Method::PUT) => save(app, exchange, request, now).await,
        (["v1", "webhook"], &Method::DELETE) => remove(app, exchange, request, now).await,
        (["v1", "webhook"], _) => Err(Refusal::method_not_allowed("DELETE, GET, PUT")),
        _ => Err(Refusal::no_such_route()),
    }
}

async fn show(
    app: &App<Reach>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let caller = authorize(app, exchange, request.headers(), Scope::Webhooks, now).await?;
    caller.permit_recipient(None)?;
    let key = Key::webhook(&caller.account);
    let stored = app.table.load(&key, Consistency::Strong).await?;
    let webhook = stored.ok_or_else(Refusal::no_webhook)?.item;
    exchange::json(StatusCode::OK, &reply(&webhook, None, now))
}

async fn save(
    app: &App<Reach>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let caller = authorize(app, exchange, request.headers(), Scope::Webhooks, now).await?;
    caller.permit_recipient(None)?;
    let SaveWebhook { url, rotate_secret } = exchange::read_json(request, &["url"])?;
    let url = app.services.read_url(&url);
    let url =
        url.map_err(|error| Refusal::invalid_field("/url", error.code(), error.to_string()))?;

    let key = Key::webhook(&caller.account);
    let loaded = app.table.load(&key, Consistency::Strong).await?;
    let secret = new_secret();
    let change = |before: Option<&Webhook>| {
        let mut secrets = before.map_or_else(Vec::new, |before| before.secrets.clone());
        secrets.retain(|secret| secret.until.is_none_or(|until| now < until));
        if secrets.is_empty() || rotate_secret {
            // Two former ones at once are nobody's rotation.
            secrets.truncate(1);
            for former in &mut secrets {
                former.until = now.checked_add(FORMER_SECRET_SIGNS).ok();
            }
            let new = WebhookSecret {
                secret: secret.clone(),
                until: None,
            };
            secrets.insert(0, new);
        }
        Some(Webhook {
            url: url.to_string(),
            secrets,
            changed_at: now,
            disabled: None,
            failing_since: None,
            last_failure: None,
        })
    };
    let is_new = loaded.is_none();
    let (_, stored) = apply(&app.table, &key, loaded, change).await?;
    let webhook = stored.ok_or_else(Refusal::no_webhook)?.item;
    let made = webhook
        .secrets
        .first()
        .is_some_and(|first| first.secret.expose_secret() == secret.expose_secret());
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    exchange::json(status, &reply(&webhook, made.then_some(secret), now))
}

async fn remove(
    app: &App<Reach>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let caller = authorize(app, exchange, request.headers(), Scope::Webhooks, now).await?;
    caller.permit_recipient(None)?;
    app.table.remove_webhook(&caller.account).await?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn reply(webhook: &Webhook, secret: Option<SecretString>, now: Timestamp) -> WebhookReply {
    let disabled = webhook.disabled.as_ref();
    let former = webhook.secrets.iter().filter_map(|secret| secret.until);
    WebhookReply {
        url: webhook.url.clone(),
        state: if disabled.is_some() {
            WebhookState::Disabled
        } else {
            WebhookState::Enabled
        },
        disabled_because: disabled.map(|disabled| disabled.because),
        disabled_at: disabled.map(|disabled| disabled.at),
        failing_since: webhook.failing_since,
        last_failure: webhook
            .last_failure
            .as_ref()
            .filter(|_| webhook.failing_since.is_some())
            .map(|failure| failure.what.clone()),
        changed_at: webhook.changed_at,
        secret: secret.map(|secret| secret.expose_secret().to_owned()),
        former_secret_until: former.filter(|until| now < *until).max(),
    }
}
