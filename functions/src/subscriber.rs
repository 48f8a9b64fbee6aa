//! `POST /v1/notifications`: notifications of SES that SNS delivers by HTTPS, where a topic cannot feed a queue.
//!
//! Whoever finds the door may knock, so nothing of a message is believed before its topic is one of the operator's list, its time
//! is of the last hour, and its signature is SNS's. Then a notification goes the way of [`feedback`](crate::feedback), and a
//! subscription is confirmed by an API call. No URL of a message is visited but that of the certificate, which has one host. After
//! the SNS developer guide, *verify message signatures*; known ways around other people's checks are rows of the tests.

mod certificate;
pub(crate) mod message;
mod topic;

use core::time::Duration;

use aws_sdk_sns::config::SharedHttpClient;
use jiff::Timestamp;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::api::{NotificationOutcome, NotificationReply};

use crate::app::App;
use crate::config::{Settings, SnsSettings, cause};
use crate::exchange::{self, Exchange};
use crate::feedback::{RecordError, record_one};
use crate::problem::{Refusal, chain};
use certificate::{Certificates, SignatureError};
use message::{Kind, Message, REQUIRED};
use topic::Topic;
pub use topic::{Topics, TopicsError};

/// The most octets of a message. What is published has 256 KB at most (SNS quotas); quoted as JSON it becomes longer.
const MAX_MESSAGE_OCTETS: usize = 1024 * 1024;
/// How long recording may take: inside the function's ten seconds, and those of a delivery, which are fifteen.
const RECORDED_WITHIN: Duration = Duration::from_secs(6);

/// SNS, as far as it delivers by HTTPS. Its client is made when one is needed: subscriptions are rare, and each topic has its region.
#[derive(Debug)]
pub struct Sns {
    settings: Settings,
    http: SharedHttpClient,
    certificates: Certificates,
}

impl Sns {
    pub(crate) fn new(settings: Settings, http: SharedHttpClient) -> Self {
        let SnsSettings { endpoint, root, .. } = &settings.sns;
        Self {
            certificates: Certificates::new(*endpoint, root.clone()),
            settings,
            http,
        }
    }
}

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(app: &App<Sns>, request: Request) -> Response<Body> {
    handle_at(app, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(app: &App<Sns>, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("subscriber");
    let answer = answer(app, &request, now).await;
    exchange.finish(answer)
}

async fn answer(
    app: &App<Sns>,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    match (exchange::segments(request).as_slice(), request.method()) {
        (["v1", "notifications"], &Method::POST) => {}
        (["v1", "notifications"], _) => return Err(Refusal::method_not_allowed("POST")),
        _ => return Err(Refusal::no_such_route()),
    }
    // SNS says that its JSON is plain text.
    let message: Message = exchange::read_undeclared_json(request, &REQUIRED, MAX_MESSAGE_OCTETS)?;
    message.check_lines()?;
    let topics = &app.services.settings.sns.topics;
    let topic = topics.find(&message.topic_arn).ok_or_else(|| {
        let detail = "the topic is not one whose messages are taken";
        Refusal::untrusted_message("topic", "/TopicArn", detail)
    })?;
    let published_at = message.published_at(now)?;
    app.services
        .certificates
        .verify(&message, topic, now)
        .await?;
    let outcome = match message.kind {
        Kind::Notification => {
            let text = &message.text;
            let recorded = record_one(app, text, published_at, RECORDED_WITHIN, now);
            match Box::pin(recorded).await {
                Ok(()) => NotificationOutcome::Recorded,
                Err(error) => return Err((&*error).into()),
            }
        }
        Kind::SubscriptionConfirmation => {
            Box::pin(app.services.confirm(&message, topic)).await?;
            NotificationOutcome::Confirmed
        }
        // Its URL would subscribe again. Whether somebody may end a subscription is the topic's policy's business.
        Kind::UnsubscribeConfirmation => {
            tracing::error!(
                alarm = "unsubscribed",
                topic = topic.arn(),
                "a topic does not deliver any more: its subscription was ended"
            );
            NotificationOutcome::Noted
        }
    };
    exchange::json(StatusCode::OK, &NotificationReply { outcome })
}

impl Sns {
    /// Confirms a subscription to `topic`, so that only its owner can end it.
    async fn confirm(&self, message: &Message, topic: &Topic) -> Result<(), Refusal> {
        let Some(token) = &message.token else {
            return Err(Refusal::invalid_field(
                "/Token",
                "missing",
                "this field is needed",
            ));
        };
        let client = self.settings.sns(self.http.clone(), topic.region());
        let confirmed = client
            .confirm_subscription()
            .topic_arn(topic.arn())
            .token(token)
            .authenticate_on_unsubscribe("true")
            .send()
            .await;
        match confirmed {
            Ok(_) => {
                tracing::info!(topic = topic.arn(), "confirmed the subscription to a topic");
                Ok(())
            }
            Err(error) => {
                let is_unknown = error.as_service_error().is_some_and(|refusal| {
                    refusal.is_invalid_parameter_exception() || refusal.is_not_found_exception()
                });
                let cause = cause(error);
                Err(if is_unknown {
                    Refusal::unknown_subscription(&*cause)
                } else {
                    Refusal::unavailable(&*cause)
                })
            }
        }
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        let (code, field) = match &error {
            SignatureError::CertificateUrl => ("certificate_url", "/SigningCertURL"),
            SignatureError::NoCertificate => ("no_certificate", "/SigningCertURL"),
            SignatureError::Certificate(_) | SignatureError::OtherName => {
                ("certificate", "/SigningCertURL")
            }
            SignatureError::Signature => ("signature", "/Signature"),
            SignatureError::Unreachable(_) => return Self::unavailable(&error),
        };
        Self::untrusted_message(code, field, chain(&error))
    }
}

impl From<&RecordError> for Refusal {
    fn from(error: &RecordError) -> Self {
        match error {
            RecordError::Notification(_)
            | RecordError::UnknownAccount
            | RecordError::UnreadableRecipients(_) => Self::unreadable_notification(error),
            // SNS tries again for as long as the subscription's policy says.
            RecordError::Table(_) | RecordError::Apply(_) | RecordError::OutOfTime => {
                Self::unavailable(error)
            }
        }
    }
}
