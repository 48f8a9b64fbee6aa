//! Carries deliveries to receivers that others named: nothing inside the deployment's own network can be reached through it.
//!
//! A name is resolved once; if any of its addresses is not public, none is used; and the connection goes to the very address that was
//! looked at. Redirects are not followed, answers are not read, only their status counts (OWASP, *server-side request forgery*).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::OnceLock;

use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns;
use hyper_util::rt::TokioExecutor;
use lambda_http::Body;
use lambda_http::http::{Method, Request, StatusCode};
use tower_service::Service;
use url::{Host, Url};

use crate::tls;
use crate::verifier::{Answer, Dns};

/// What a receiver has from the question for its name to the status of its answer (Standard Webhooks suggests 15 to 30 s; who needs
/// longer than this should take the delivery in first and work later).
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most octets of a receiver's URL.
const MAX_URL_OCTETS: usize = 2_000;

/// Why a receiver did not take a delivery. Says nothing of what it answered but the status.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It answered something else than 2xx. A redirect is such an answer.
    #[error("status {0}")]
    Status(u16),
    /// It did not answer in time.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    /// Its name has no address.
    #[error("the host name has no address")]
    NoAddress,
    /// Its name leads inside.
    #[error("the host is not on the public Internet")]
    NotPublic,
    /// The URL is none that may be used.
    #[error("the URL is not usable: {0}")]
    Url(#[from] UrlError),
    /// No connection, or it broke, or its certificate is not good.
    #[error("no connection")]
    NoConnection(#[source] Box<dyn core::error::Error + Send + Sync>),
}

impl Refused {
    /// Whether the receiver said that it is gone for good.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Status(410))
    }
}

/// Why a text is no URL of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL at all, or one without a host.
    #[error("must be a URL with a host")]
    NotAUrl,
    /// Longer than any needs to be.
    #[error("must have at most {MAX_URL_OCTETS} octets")]
    TooLong,
    /// Not encrypted.
    #[error("must be https")]
    NotHttps,
    /// Holds a user name or password, which would be shown with it.
    #[error("must not hold a user name or password")]
    Credentials,
    /// An address that is not public.
    #[error("must be on the public Internet")]
    NotPublic,
}

impl UrlError {
    /// The machine-readable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAUrl => "not_a_url",
            Self::TooLong => "too_long",
            Self::NotHttps => "not_https",
            Self::Credentials => "credentials",
            Self::NotPublic => "not_public",
        }
    }
}

/// Whose receivers may be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public ones, by https.
    Internet,
    /// Those of this machine as well, and by http: for the local stack only.
    ThisMachineToo,
}

/// Reads the URL of a receiver.
///
/// # Errors
/// When it may not be used, whatever its name resolves to.
pub fn check_url(text: &str) -> Result<Url, UrlError> {
    Reach::Internet.read_url(text)
}

impl Reach {
    /// Reads the URL of a receiver.
    ///
    /// # Errors
    /// When it may not be used, whatever its name resolves to.
    pub fn read_url(self, text: &str) -> Result<Url, UrlError> {
        if text.len() > MAX_URL_OCTETS {
            return Err(UrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
        let host = url.host().ok_or(UrlError::NotAUrl)?;
        let is_local = self == Self::ThisMachineToo;
        match url.scheme() {
            "https" => {}
            "http" if is_local => {}
            _other => return Err(UrlError::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        let literal = match host {
            Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
            Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
            Host::Domain(_) => None,
        };
        if literal.is_some_and(|address| !self.permits(address)) {
            return Err(UrlError::NotPublic);
        }
        Ok(url)
    }

    fn permits(self, address: IpAddr) -> bool {
        is_public(address) || (self == Self::ThisMachineToo && address.to_canonical().is_loopback())
    }
}

/// Whether `address` is one of the Internet's (IANA's special-purpose registries). Forms of IPv6 that carry an IPv4 address are not:
/// through a translator they lead to wherever that address does.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let within = |network: [u8; 4], bits: u32| {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                u32::from(v4) & mask == u32::from(Ipv4Addr::from(network))
            };
            let special = [
                ([0, 0, 0, 0], 8),
                ([10, 0, 0, 0], 8),
                ([100, 64, 0, 0], 10),
                ([127, 0, 0, 0], 8),
                ([169, 254, 0, 0], 16),
                ([172, 16, 0, 0], 12),
                ([192, 0, 0, 0], 24),
                ([192, 0, 2, 0], 24),
                ([192, 88, 99, 0], 24),
                ([192, 168, 0, 0], 16),
                ([198, 18, 0, 0], 15),
                ([198, 51, 100, 0], 24),
                ([203, 0, 113, 0], 24),
                ([224, 0, 0, 0], 3),
            ];
            !special
                .iter()
                .any(|(network, bits)| within(*network, *bits))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Global unicast alone, less Teredo and its neighbours, the documentation's, 6to4.
            (0x2000..=0x3fff).contains(&first)
                && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
                && first != 0x2002
                && !(first == 0x3fff && second < 0x1000)
        }
    }
}

/// Sends deliveries.
#[derive(Debug)]
pub struct Courier {
    dns: Dns,
    reach: Reach,
    tls: OnceLock<rustls::ClientConfig>,
}

impl Courier {
    pub(crate) fn new(dns: Dns, reach: Reach) -> Self {
        Self {
            dns,
            reach,
            tls: OnceLock::new(),
        }
    }

    /// Delivers `body`.
    ///
    /// # Errors
    /// When it did not arrive, or nobody can tell.
    pub async fn deliver(
        &self,
        url: &str,
        headers: [(&'static str, String); 3],
        body: String,
    ) -> Result<(), Refused> {
        let delivery = self.deliver_now(url, headers, body);
        tokio::time::timeout(TIMEOUT, delivery)
            .await
            .unwrap_or(Err(Refused::TimedOut))
    }

    async fn deliver_now(
        &self,
        url: &str,
        headers: [(&'static str, String); 3],
        body: String,
    ) -> Result<(), Refused> {
        let url = self.reach.read_url(url)?;
        let address = self.resolve(&url).await?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header("content-type", "application/cloudevents+json")
            .header("user-agent", "Leadlight");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Body::Text(body))
            .map_err(|_| UrlError::NotAUrl)?;
        let connector = self.connector(address)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build::<_, Body>(connector);
        let answer = client
            .request(request)
            .await
            .map_err(|error| Refused::NoConnection(error.into()))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(Refused::Status(StatusCode::GONE.as_u16())),
            status => Err(Refused::Status(status.as_u16())),
        }
    }

    /// The one address that is connected to.
    async fn resolve(&self, url: &Url) -> Result<SocketAddr, Refused> {
        let port = url.port_or_known_default().ok_or(UrlError::NotAUrl)?;
        let addresses = match url.host().ok_or(UrlError::NotAUrl)? {
            // Looked at when the URL was read.
            Host::Ipv4(v4) => vec![IpAddr::V4(v4)],
            Host::Ipv6(v6) => vec![IpAddr::V6(v6)],
            Host::Domain(name) => self.addresses(name).await?,
        };
        if !addresses.iter().all(|address| self.reach.permits(*address)) {
            return Err(Refused::NotPublic);
        }
        let address = addresses.first().ok_or(Refused::NoAddress)?;
        Ok(SocketAddr::new(*address, port))
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Refused> {
        let mut name = Name::from_ascii(name).map_err(|_| Refused::NoAddress)?;
        name.set_fqdn(true);
        let (v4, v6) = futures_util::join!(
            self.dns.ask(&name, RecordType::A),
            self.dns.ask(&name, RecordType::AAAA)
        );
        // IPv4 first: functions in a network of their own often have no route for IPv6.
        let records = [v4, v6].into_iter().flat_map(|answer| match answer {
            Answer::Records(records) => records,
            Answer::NoSuchName { .. } | Answer::None { .. } | Answer::Unknown(_) => Vec::new(),
        });
        Ok(records.filter_map(|record| ip_address(&record)).collect())
    }

    /// A connector that goes to `address`, whatever name is asked of it.
    fn connector(
        &self,
        address: SocketAddr,
    ) -> Result<HttpsConnector<HttpConnector<Resolved>>, Refused> {
        let mut tcp = HttpConnector::new_with_resolver(Resolved(address));
        tcp.enforce_http(false);
        let tls = if let Some(tls) = self.tls.get() {
            tls.clone()
        } else {
            let tls = tls::system_roots()
                .and_then(tls::client)
                .map_err(Refused::NoConnection)?;
            self.tls.get_or_init(|| tls).clone()
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder = match self.reach {
            Reach::Internet => builder.https_only(),
            Reach::ThisMachineToo => builder.https_or_http(),
        };
        Ok(builder.enable_http1().wrap_connector(tcp))
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of all kinds of records two are addresses"
)]
fn ip_address(record: &RData) -> Option<IpAddr> {
    match record {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

/// A resolver that knows one address.
#[derive(Clone, Debug)]
struct Resolved(SocketAddr);

impl Service<dns::Name> for Resolved {
    type Response = core::iter::Once<SocketAddr>;
    type Error = core::convert::Infallible;
    type Future = core::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: dns::Name) -> Self::Future {
        core::future::ready(Ok(core::iter::once(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<(), UrlError>) {
        assert_eq!(check_url(url).map(drop), expected, "{url}");
    }

    #[test]
    fn receivers_are_on_the_public_internet_and_by_https() {
        check("https://crm.example.com/hooks?x=1", Ok(()));
        check("https://8.8.8.8/", Ok(()));
        check("https://[2606:4700::1111]:8443/", Ok(()));
        check("crm.example.com", Err(UrlError::NotAUrl));
        check("https://", Err(UrlError::NotAUrl));
        check("", Err(UrlError::NotAUrl));
        check("http://crm.example.com/", Err(UrlError::NotHttps));
        check("ftp://crm.example.com/", Err(UrlError::NotHttps));
        check("https://u:p@crm.example.com/", Err(UrlError::Credentials));
        check("https://u@crm.example.com/", Err(UrlError::Credentials));
        check(
            &format!("https://crm.example.com/{}", "x".repeat(2_000)),
            Err(UrlError::TooLong),
        );
        for inside in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            // The same in forms that URLs take for addresses.
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "[2001:0:1::1]",
            "[2001:db8::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[ff02::1]",
        ] {
            check(&format!("https://{inside}/"), Err(UrlError::NotPublic));
        }
    }

    #[test]
    fn the_local_stack_reaches_this_machine_and_nothing_else_inside() {
        let read = |url: &str| Reach::ThisMachineToo.read_url(url).map(drop);
        assert_eq!(read("http://127.0.0.1:4000/hook"), Ok(()));
        assert_eq!(read("http://10.0.0.1/"), Err(UrlError::NotPublic));
        assert_eq!(read("http://169.254.169.254/"), Err(UrlError::NotPublic));
    }
}
