//! What a function is told from outside, and what its clients and its log make of it.
//!
//! Settings come from the environment under the names that Lambda and the AWS SDKs use; a missing one fails at start and names
//! itself. Clients speak TLS by rustls with ring: the SDK's default spends 366 ms on a first call at 128 MB where this spends
//! 18, measured. Every time-out is set, since the SDK has none of its own for attempts and operations.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::{HttpClient as _, http_client_fn};
use aws_types::SdkConfig;
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{Level, Metadata};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::permit::PermitKeyError;
use crate::subscriber::{Topics, TopicsError};
use crate::table::item::{AddressSecret, ShortSecret};
use crate::verifier::{Blocklist, BlocklistError, Verifier, VerifierError};

/// A request that takes longer than this to connect will not be answered in time anyway.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// `DynamoDB` answers in single-digit milliseconds, or after 5 s where it retries a stuck node itself (AWS knowledge centre).
const TABLE_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(700);
/// Three attempts with their pauses, inside what a caller waits.
const TABLE_TIMEOUT: Duration = Duration::from_secs(3);
/// SES answers its list calls within some hundred milliseconds, and so do `EventBridge` and SNS.
const SES_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// Leaves a recheck the time to say that it failed.
const SES_TIMEOUT: Duration = Duration::from_millis(2_500);
/// SES takes a message in within some hundred milliseconds; one with large attachments takes longer to get there.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The first attempt and its repetitions.
const ATTEMPTS: u32 = 3;

/// What a function is told from outside.
#[derive(Clone)]
pub struct Settings {
    /// The table's name.
    pub table: String,
    /// The secret for address keys.
    pub address_secret: AddressSecret,
    /// Name servers to ask instead of the system's; empty for the system's.
    pub name_servers: Vec<SocketAddr>,
    /// The blocklists that are asked about addresses.
    pub blocklists: Vec<Blocklist>,
    /// The AWS region.
    pub region: String,
    /// What AWS requests are signed with.
    pub credentials: Credentials,
    /// Where `DynamoDB` is, if not in AWS.
    pub dynamodb_endpoint: Option<String>,
    /// Where SES is, if not in AWS.
    pub sesv2_endpoint: Option<String>,
    /// The configuration set of messages that Leadlight sends, if they have one. Only with one do SES's events about them carry
    /// their tags; where accounts have SES tenants, it must be one of each tenant's resources.
    pub configuration_set: Option<String>,
    /// What permits are signed with: a private Ed25519 key (PKCS #8), as PEM. Without it there are none.
    pub permit_key: Option<SecretString>,
    /// The `EventBridge` bus on which changes of status are published. Without it they are not.
    pub event_bus: Option<String>,
    /// Where `EventBridge` is, if not in AWS.
    pub eventbridge_endpoint: Option<String>,
    /// Which topics of SNS deliver by HTTPS, and where SNS is.
    pub sns: SnsSettings,
    /// Whether webhooks may be on this machine and without TLS. For the local stack only: in a deployment it would let accounts
    /// reach what runs beside the functions.
    pub local_webhooks: bool,
}

/// What the function that SNS delivers to by HTTPS is told; nothing of it for the others.
#[derive(Clone, Debug, Default)]
pub struct SnsSettings {
    /// The topics whose messages are taken.
    pub topics: Topics,
    /// Where SNS is, certificates and all, if not in AWS.
    pub endpoint: Option<SocketAddr>,
    /// The root that SNS's certificates lead to, as base64 of its DER (for URLs, without padding), if not one of the
    /// system's.
    pub root: Option<String>,
}

impl SnsSettings {
    fn read(variable: &impl Fn(&'static str) -> Option<String>) -> Result<Self, SettingsError> {
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let endpoint = optional("AWS_ENDPOINT_URL_SNS").map(|url| {
            let address = url.strip_prefix("http://").unwrap_or_default();
            address.parse().map_err(|_| SettingsError::SnsEndpoint)
        });
        Ok(Self {
            topics: Topics::read(&optional("LEADLIGHT_TOPICS").unwrap_or_default())?,
            endpoint: endpoint.transpose()?,
            root: optional("LEADLIGHT_SNS_ROOT"),
        })
    }
}

/// Why the settings cannot be used. Each names its variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A variable that must be set is not, or is empty.
    #[error("the environment variable {name} is not set")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// [`LEADLIGHT_ADDRESS_SECRET`](Settings::from_env) is too short.
    #[error("the environment variable LEADLIGHT_ADDRESS_SECRET is too short")]
    AddressSecret(#[from] ShortSecret),
    /// `LEADLIGHT_DNS` is not a list of addresses with ports.
    #[error("the environment variable LEADLIGHT_DNS is no list of addresses with ports")]
    NameServers,
    /// `LEADLIGHT_BLOCKLISTS` does not describe blocklists.
    #[error("the environment variable LEADLIGHT_BLOCKLISTS is not usable: {0}")]
    Blocklists(#[from] BlocklistError),
    /// `LEADLIGHT_TOPICS` is not a list of ARNs of topics.
    #[error("the environment variable LEADLIGHT_TOPICS is no list of topics: {0}")]
    Topics(#[from] TopicsError),
    /// `AWS_ENDPOINT_URL_SNS` is not `http://`, an address and a port.
    #[error("the environment variable AWS_ENDPOINT_URL_SNS is no http:// with address and port")]
    SnsEndpoint,
    /// `LEADLIGHT_PERMIT_KEY` is no private Ed25519 key.
    #[error("the environment variable LEADLIGHT_PERMIT_KEY is not usable")]
    PermitKey(#[from] PermitKeyError),
}

/// A verifier with the environment's name servers and blocklists, for a program that needs nothing else of [`Settings`].
///
/// Where any are `named`, those are asked instead of the environment's.
///
/// # Errors
/// When a variable cannot be used, or the system's name servers cannot be told.
pub fn verifier_from_env(named: &[SocketAddr]) -> Result<Verifier, StartError> {
    let variable = |name: &'static str| std::env::var(name).ok();
    let servers = if named.is_empty() {
        name_servers(&variable)?
    } else {
        named.to_vec()
    };
    Ok(Verifier::new(&servers)?.with_blocklists(blocklists(&variable)?))
}

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system's name servers cannot be told.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
}

fn name_servers(
    variable: &impl Fn(&'static str) -> Option<String>,
) -> Result<Vec<SocketAddr>, SettingsError> {
    let servers = variable("LEADLIGHT_DNS").unwrap_or_default();
    let servers = servers.split(',').map(str::trim);
    servers
        .filter(|server| !server.is_empty())
        .map(|server| server.parse().map_err(|_| SettingsError::NameServers))
        .collect()
}

fn blocklists(
    variable: &impl Fn(&'static str) -> Option<String>,
) -> Result<Vec<Blocklist>, SettingsError> {
    match variable("LEADLIGHT_BLOCKLISTS").filter(|json| !json.is_empty()) {
        Some(json) => Ok(Blocklist::read_all(&json)?),
        None => Ok(Vec::new()),
    }
}

/// What of the [`Settings`] the table needs, and all that some functions are told.
pub(crate) struct StoreSettings {
    pub(crate) table: String,
    pub(crate) address_secret: AddressSecret,
    region: String,
    credentials: Credentials,
    dynamodb_endpoint: Option<String>,
}

impl StoreSettings {
    pub(crate) fn read(
        variable: &impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let required = |name| optional(name).ok_or(SettingsError::Missing { name });
        Ok(Self {
            table: required("LEADLIGHT_TABLE")?,
            address_secret: AddressSecret::new(
                SecretString::from(required("LEADLIGHT_ADDRESS_SECRET")?).expose_secret(),
            )?,
            region: required("AWS_REGION")?,
            credentials: Credentials::new(
                required("AWS_ACCESS_KEY_ID")?,
                required("AWS_SECRET_ACCESS_KEY")?,
                optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            dynamodb_endpoint: optional("AWS_ENDPOINT_URL_DYNAMODB"),
        })
    }

    pub(crate) fn dynamodb(&self, http: SharedHttpClient) -> aws_sdk_dynamodb::Client {
        let timeouts = timeouts(TABLE_ATTEMPT_TIMEOUT, TABLE_TIMEOUT);
        let endpoint = self.dynamodb_endpoint.clone();
        let (region, credentials) = (&self.region, &self.credentials);
        aws_sdk_dynamodb::Client::new(&client(http, region, credentials, endpoint, timeouts))
    }
}

impl Settings {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// When a variable is missing or cannot be used.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the settings from wherever `variable` finds them by name.
    ///
    /// # Errors
    /// When a variable is missing or cannot be used.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, SettingsError> {
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let StoreSettings {
            table,
            address_secret,
            region,
            credentials,
            dynamodb_endpoint,
        } = StoreSettings::read(&variable)?;
        Ok(Self {
            table,
            address_secret,
            region,
            credentials,
            dynamodb_endpoint,
            name_servers: name_servers(&variable)?,
            blocklists: blocklists(&variable)?,
            sesv2_endpoint: optional("AWS_ENDPOINT_URL_SESV2"),
            configuration_set: optional("LEADLIGHT_CONFIGURATION_SET"),
            permit_key: optional("LEADLIGHT_PERMIT_KEY").map(SecretString::from),
            event_bus: optional("LEADLIGHT_EVENT_BUS"),
            eventbridge_endpoint: optional("AWS_ENDPOINT_URL_EVENTBRIDGE"),
            sns: SnsSettings::read(&variable)?,
            local_webhooks: optional("LEADLIGHT_LOCAL_WEBHOOKS").is_some(),
        })
    }

    /// A client for the table's engine. For tools that need more than [`Table`](crate::table::Table) offers.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.store().dynamodb(https(usize::MAX))
    }

    pub(crate) fn store(&self) -> StoreSettings {
        StoreSettings {
            table: self.table.clone(),
            address_secret: self.address_secret.clone(),
            region: self.region.clone(),
            credentials: self.credentials.clone(),
            dynamodb_endpoint: self.dynamodb_endpoint.clone(),
        }
    }

    pub(crate) fn sesv2(&self, http: SharedHttpClient) -> aws_sdk_sesv2::Client {
        let endpoint = self.sesv2_endpoint.clone();
        aws_sdk_sesv2::Client::new(&self.client(http, &self.region, endpoint))
    }

    /// A client that makes every call once. Whether a lost call sent its message nobody can tell; and calls get lost on
    /// connections that SES closed while the function was frozen, so `http` should keep none.
    pub(crate) fn sesv2_once(&self, http: SharedHttpClient) -> aws_sdk_sesv2::Client {
        let endpoint = self.sesv2_endpoint.clone();
        let config = self.client(http, &self.region, endpoint).into_builder();
        let config = config
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(SEND_TIMEOUT, SEND_TIMEOUT));
        aws_sdk_sesv2::Client::new(&config.build())
    }

    /// A client for SNS in `region`: that of a topic, which may be another than ours.
    pub(crate) fn sns(&self, http: SharedHttpClient, region: &str) -> aws_sdk_sns::Client {
        let endpoint = self.sns.endpoint.map(|address| format!("http://{address}"));
        aws_sdk_sns::Client::new(&self.client(http, region, endpoint))
    }

    pub(crate) fn eventbridge(&self, http: SharedHttpClient) -> aws_sdk_eventbridge::Client {
        let endpoint = self.eventbridge_endpoint.clone();
        aws_sdk_eventbridge::Client::new(&self.client(http, &self.region, endpoint))
    }

    /// What the client of a service with which nothing is stored is told.
    fn client(&self, http: SharedHttpClient, region: &str, endpoint: Option<String>) -> SdkConfig {
        let timeouts = timeouts(SES_ATTEMPT_TIMEOUT, SES_TIMEOUT);
        client(http, region, &self.credentials, endpoint, timeouts)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("table", &self.table)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// An HTTP client that keeps at most `most_idle` connections to each host for later calls. It is set up by its first call: left to
/// itself, the SDK has it parse the system's certificates for every client that is built, and throws them away.
pub(crate) fn https(most_idle: usize) -> SharedHttpClient {
    let client = Builder::new()
        .pool_max_idle_per_host(most_idle)
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    http_client_fn(move |settings, components| client.http_connector(settings, components))
}

/// What the client of a service is told.
fn client(
    http: SharedHttpClient,
    region: &str,
    credentials: &Credentials,
    endpoint: Option<String>,
    timeouts: TimeoutConfig,
) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .http_client(http)
        // An attempt's time-out ends a body that stalls as well.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts);
    config.set_endpoint_url(endpoint);
    config.build()
}

fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

/// What an SDK's error says, without the service's own words: they may repeat a value of the request, an address for one.
pub(crate) fn cause<E>(error: SdkError<E>) -> Box<dyn core::error::Error + Send + Sync>
where
    E: ProvideErrorMetadata + core::error::Error + Send + Sync + 'static,
{
    match error.as_service_error() {
        Some(refusal) => [
            "the service answered ",
            refusal.code().unwrap_or("without a code"),
        ]
        .concat()
        .into(),
        None => error.into_source().unwrap_or_else(Into::into),
    }
}

/// Starts the log: a JSON object a line, filtered by `LEADLIGHT_LOG` (default `info`).
///
/// A release has no lines below `info` in it: nearly all of them are others', and they make the binary larger for nobody to read.
pub fn start_log() {
    let wanted = std::env::var("LEADLIGHT_LOG").ok();
    let filter = wanted.and_then(|wanted| wanted.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // Somebody else's log, as under the local stack and in tests, is as good.
    let _ = Registry::default()
        .with(lines(filter, std::io::stdout))
        .try_init();
}

/// The lines of the log that `filter` lets through and that [may be logged](is_discreet), into `writer`.
pub fn lines<S, W>(filter: Targets, writer: W) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    lines.with_filter(filter.and(filter_fn(is_discreet)))
}

/// Whether a line may be logged, whatever is asked for.
///
/// Others' crates write whole requests and events below `info`: the SDK, hyper and Lambda's runtime do. The resolver may write
/// nothing: its lines hold the names that it asks for, and in those stand the keys of blocklists and people's domains.
#[must_use]
pub fn is_discreet(line: &Metadata<'_>) -> bool {
    let target = line.target();
    let is_ours = target.starts_with("leadlight");
    is_ours || (*line.level() <= Level::INFO && !target.starts_with("hickory"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::UdpSocket;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::verifier::Freshness;

    const COMPLETE: &[(&str, &str)] = &[
        ("LEADLIGHT_TABLE", "leadlight"),
        (
            "LEADLIGHT_ADDRESS_SECRET",
            "0123456789abcdef0123456789abcdef",
        ),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ];

    fn read(change: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let value = |name: &str| {
            change
                .iter()
                .chain(COMPLETE)
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::read(value)
    }

    #[test]
    fn a_missing_variable_names_itself() {
        assert!(read(&[]).is_ok());
        for (name, _) in COMPLETE {
            let error = read(&[(name, "")]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused() {
        let short = read(&[("LEADLIGHT_ADDRESS_SECRET", "secret")]).unwrap_err();
        assert!(short.to_string().contains("LEADLIGHT_ADDRESS_SECRET"));
        assert!(
            !format!("{:?}", read(&[])).contains("0123456789abcdef"),
            "the secret must not be printed"
        );
    }

    #[test]
    fn name_servers_are_a_list() {
        let servers = read(&[("LEADLIGHT_DNS", "127.0.0.1:5353, [::1]:53")])
            .unwrap()
            .name_servers;
        assert_eq!(
            servers,
            [
                "127.0.0.1:5353".parse().unwrap(),
                "[::1]:53".parse::<SocketAddr>().unwrap()
            ]
        );
        assert_eq!(
            read(&[("LEADLIGHT_DNS", "localhost")]).unwrap_err(),
            SettingsError::NameServers
        );
    }

    #[test]
    fn topics_and_where_sns_is_are_told_or_refused() {
        let arn = "arn:aws:sns:eu-central-1:123456789012:feedback";
        let endpoint = ("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:4567");
        let sns = read(&[("LEADLIGHT_TOPICS", arn), endpoint]).unwrap().sns;
        assert_eq!(sns.topics, Topics::read(arn).unwrap());
        assert_eq!(sns.endpoint, Some("127.0.0.1:4567".parse().unwrap()));
        assert_eq!(read(&[]).unwrap().sns.topics, Topics::default());
        let wrong = read(&[("LEADLIGHT_TOPICS", "feedback")]).unwrap_err();
        assert!(wrong.to_string().contains("LEADLIGHT_TOPICS"), "{wrong}");
        for url in [
            "127.0.0.1:4567",
            "https://127.0.0.1:4567",
            "http://localhost",
        ] {
            let wrong = read(&[("AWS_ENDPOINT_URL_SNS", url)]).unwrap_err();
            assert_eq!(wrong, SettingsError::SnsEndpoint, "{url}");
        }
    }

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn no_question_is_logged_and_a_list_that_fails_is_told_once() {
        // A port at which nobody listens.
        let nobody = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let list = r#"[{"name": "Test list", "zone": "{key}.list.example", "key": "s3cr3tk3y", "kind": "domain",
            "listed": ["127.0.0.2"]}]"#;
        let logged = Lines::default();
        let told = logged.clone();
        let guard = tracing::subscriber::set_default(
            Registry::default().with(lines("trace".parse().unwrap(), move || told.clone())),
        );
        let verifier = Verifier::new(&[nobody])
            .unwrap()
            .with_blocklists(Blocklist::read_all(list).unwrap());
        for address in ["ann@shop.example", "bob@shop.example"] {
            let address = leadlight::address::Address::parse(address).unwrap();
            let verification = verifier.verify(&address, Freshness::Asked).await;
            assert_eq!(verification.findings.unchecked, ["Test list"]);
        }
        drop(guard);
        let lines = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        for secret in ["s3cr3tk3y", "list.example", "shop.example"] {
            assert!(!lines.contains(secret), "{lines}");
        }
        let alarms: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &serde_json::Value| line["alarm"] == "blocklist")
            .collect();
        assert_eq!(alarms.len(), 1, "{lines}");
        let [alarm] = alarms.as_slice() else {
            unreachable!("just counted")
        };
        assert_eq!(
            (&alarm["level"], &alarm["blocklist"]),
            (&"ERROR".into(), &"Test list".into())
        );
    }
}
