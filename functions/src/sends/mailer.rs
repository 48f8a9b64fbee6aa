//! SES's `SendEmail`, called once per message, and what its answers mean: sent, not sent, or nobody knows.
//!
//! `SendEmail` takes no token that would make a second call harmless, so nothing here is tried again. Only an answer of SES, or a
//! connection that never came about, counts as not sent. Facts: SES API v2 reference, `SendEmail`.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::{SendEmailError, SendEmailInput};

use crate::config::cause;

/// Sends messages.
#[derive(Clone, Debug)]
pub struct Mailer {
    client: Client,
    configuration_set: Option<String>,
}

type Cause = Box<dyn core::error::Error + Send + Sync>;

/// Why a message was not sent, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Faster than SES allows this AWS account to send.
    #[error("send faster than SES allows")]
    Throttled,
    /// More in 24 hours than SES allows this AWS account to send.
    #[error("send more than SES allows in a day")]
    QuotaUsedUp,
    /// SES does not take this message. In its own words, which may repeat what the caller sent.
    #[error("have SES take the message")]
    Rejected {
        /// SES's words.
        because: Option<String>,
    },
    /// The custom MAIL FROM domain of the sending identity is not verified.
    #[error("send from a domain whose MAIL FROM is verified")]
    MailFromNotVerified,
    /// SES has stopped this AWS account, or the operator has.
    #[error("send while SES is stopped ({code})")]
    Stopped {
        /// SES's code for it.
        code: &'static str,
    },
    /// SES was not reached.
    #[error("reach SES")]
    Unreachable(#[source] Cause),
    /// The deployment is set up wrongly.
    #[error("call SES as it is set up")]
    Misconfigured(#[source] Cause),
    /// SES was called and did not say what came of it.
    #[error("learn from SES whether it has the message")]
    Unknown(#[source] Cause),
}

impl Mailer {
    /// Sends by `client`, which must not try anything again.
    #[must_use]
    pub fn new(client: Client, configuration_set: Option<String>) -> Self {
        Self {
            client,
            configuration_set,
        }
    }

    /// Sends a message; gives back SES's id of it.
    pub(crate) async fn send(&self, message: SendEmailInput) -> Result<String, MailError> {
        let call = self
            .client
            .send_email()
            .set_from_email_address(message.from_email_address)
            .set_destination(message.destination)
            .set_reply_to_addresses(message.reply_to_addresses)
            .set_content(message.content)
            .set_email_tags(message.email_tags)
            .set_tenant_name(message.tenant_name)
            .set_configuration_set_name(self.configuration_set.clone());
        let sent = call.send().await.map_err(MailError::read)?;
        sent.message_id
            .ok_or_else(|| MailError::Unknown("SES gave the message no id".into()))
    }
}

impl MailError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the SDK may add ways to fail; of all others nobody knows whether SES has the message"
    )]
    fn read(error: SdkError<SendEmailError>) -> Self {
        match &error {
            SdkError::ConstructionFailure(_) => Self::Misconfigured(cause(error)),
            SdkError::DispatchFailure(_) if never_connected(&error) => {
                Self::Unreachable(cause(error))
            }
            SdkError::ServiceError(refused) => {
                let status = refused.raw().status();
                Self::read_answer(refused.err(), status.as_u16())
                    .unwrap_or_else(|| Self::unexplained(status.is_server_error(), error))
            }
            _ => Self::Unknown(cause(error)),
        }
    }

    /// What SES says with the errors that it documents.
    fn read_answer(error: &SendEmailError, status: u16) -> Option<Self> {
        if error.is_too_many_requests_exception() || status == 429 {
            return Some(Self::Throttled);
        }
        if error.is_limit_exceeded_exception() {
            return Some(Self::QuotaUsedUp);
        }
        if error.is_message_rejected() || error.is_bad_request_exception() {
            let because = error.message().map(str::to_owned);
            return Some(Self::Rejected { because });
        }
        if error.is_mail_from_domain_not_verified_exception() {
            return Some(Self::MailFromNotVerified);
        }
        if error.is_account_suspended_exception() {
            let code = "account_suspended";
            return Some(Self::Stopped { code });
        }
        error
            .is_sending_paused_exception()
            .then_some(Self::Stopped {
                code: "sending_paused",
            })
    }

    /// An answer that is no documented one. A fault of SES's own may have come after it took the message.
    fn unexplained(is_fault_of_ses: bool, error: SdkError<SendEmailError>) -> Self {
        if is_fault_of_ses {
            Self::Unknown(cause(error))
        } else {
            Self::Misconfigured(cause(error))
        }
    }

    /// Whether SES has, or may have, the message.
    pub(crate) fn may_be_sent(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Throttled
            | Self::QuotaUsedUp
            | Self::Rejected { .. }
            | Self::MailFromNotVerified
            | Self::Stopped { .. }
            | Self::Unreachable(_)
            | Self::Misconfigured(_) => false,
        }
    }
}

/// Whether no connection came about, so that not an octet of the message left.
fn never_connected(error: &(dyn core::error::Error + 'static)) -> bool {
    core::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect)
}
