//! The network part of a verification: which hosts take mail for a domain, asked of DNS.
//!
//! RFC 5321 section 5.1 and RFC 7505 say what the answers mean. Only an answer that proves something is taken for one:
//! NXDOMAIN, or a negative answer with its SOA record (RFC 2308). Everything else is inconclusive, which blocks nobody. What the
//! findings amount to is for [`leadlight::verification`] to say.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use leadlight::address::Address;
use leadlight::verification::{Findings, InconclusiveCause, Listing, MailHosts, Verification};

/// How long one name server has for one query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often an unanswered query is repeated.
const RETRIES: usize = 1;
/// How long the whole verification may take; a recheck has to answer within 5 s.
pub const DEADLINE: Duration = Duration::from_secs(4);
/// The longest that an answer is believed, whatever its TTL: a frozen Lambda's clock may not age it.
const LONGEST_KEPT: Duration = Duration::from_hours(1);
/// The longest that "there is none" is believed: people repair DNS and try again.
const LONGEST_NEGATIVE_KEPT: Duration = Duration::from_secs(30);
/// The most mail hosts of one domain that are looked at, best first. One that is reachable is enough.
const MOST_MAIL_HOSTS: usize = 8;

/// Whether answers that this process remembers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Answers within their time to live will do.
    Remembered,
    /// DNS is asked again: somebody says that it has changed.
    Asked,
}

/// Asks DNS about addresses.
#[derive(Clone, Debug)]
pub struct Verifier {
    resolver: TokioResolver,
}

/// The system's name servers cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("read which name servers to ask")]
pub struct VerifierError(#[from] NetError);

impl Verifier {
    /// Asks `name_servers`, or the system's where there are none.
    ///
    /// # Errors
    /// When the system's name servers cannot be told.
    pub fn new(name_servers: &[SocketAddr]) -> Result<Self, VerifierError> {
        let (config, options) = if name_servers.is_empty() {
            let (system, options) = hickory_resolver::system_conf::read_system_conf()?;
            // Without a search list: a domain without its final dot must never be looked for inside somebody's network.
            (
                ResolverConfig::from_parts(None, Vec::new(), system.name_servers),
                options,
            )
        } else {
            let servers = name_servers
                .iter()
                .map(|server| name_server(*server))
                .collect();
            (
                ResolverConfig::from_parts(None, Vec::new(), servers),
                hickory_resolver::config::ResolverOpts::default(),
            )
        };
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options);
        let options = builder.options_mut();
        options.timeout = QUERY_TIMEOUT;
        options.attempts = RETRIES;
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(LONGEST_KEPT);
        options.negative_max_ttl = Some(LONGEST_NEGATIVE_KEPT);
        Ok(Self {
            resolver: builder.build()?,
        })
    }

    /// Looks at `address`, for at most [`DEADLINE`].
    pub async fn verify(&self, address: &Address, freshness: Freshness) -> Verification {
        let mail_hosts =
            tokio::time::timeout(DEADLINE, self.mail_hosts(address.domain(), freshness)).await;
        let mail_hosts = mail_hosts.unwrap_or(MailHosts::Unknown(InconclusiveCause::DnsTimeout));
        let findings = Findings {
            mail_hosts,
            listing: Listing::None,
            unchecked: Vec::new(),
        };
        Verification::new(address, findings)
    }

    async fn mail_hosts(&self, domain: &str, freshness: Freshness) -> MailHosts {
        let Ok(mut domain) = Name::from_ascii(domain) else {
            return MailHosts::Unknown(InconclusiveCause::DnsUnclear);
        };
        domain.set_fqdn(true);
        match self.ask(&domain, RecordType::MX, freshness).await {
            Answer::Records(records) => self.mx_hosts(records, freshness).await,
            Answer::NoSuchName => MailHosts::NoSuchDomain,
            Answer::None => match self.addresses(&domain, freshness).await {
                Addresses::Public => MailHosts::Implicit,
                Addresses::NotPublic => MailHosts::Unreachable,
                Addresses::None => MailHosts::None,
                Addresses::Unknown(cause) => MailHosts::Unknown(cause),
            },
            Answer::Unknown(cause) => MailHosts::Unknown(cause),
        }
    }

    async fn mx_hosts(&self, records: Vec<RData>, freshness: Freshness) -> MailHosts {
        let mut hosts: Vec<(u16, Name)> = records
            .into_iter()
            .filter_map(|record| {
                if let RData::MX(mx) = record {
                    Some((mx.preference, mx.exchange))
                } else {
                    None
                }
            })
            .collect();
        if hosts.is_empty() {
            return MailHosts::Unknown(InconclusiveCause::DnsUnclear);
        }
        // The root stands for "no mail" only where it stands alone; beside real hosts it is a mistake (RFC 7505 section 3).
        hosts.retain(|(_, host)| !host.is_root());
        if hosts.is_empty() {
            return MailHosts::NullMx;
        }
        hosts.sort();
        let too_many = hosts.len() > MOST_MAIL_HOSTS;
        let mut open = too_many.then_some(InconclusiveCause::DnsUnclear);
        for (_, host) in hosts.iter().take(MOST_MAIL_HOSTS) {
            match self.addresses(host, freshness).await {
                Addresses::Public => return MailHosts::Mx,
                Addresses::NotPublic | Addresses::None => {}
                Addresses::Unknown(cause) => open = Some(cause),
            }
        }
        open.map_or(MailHosts::Unreachable, MailHosts::Unknown)
    }

    async fn addresses(&self, host: &Name, freshness: Freshness) -> Addresses {
        let (v4, v6) = futures_util::join!(
            self.ask(host, RecordType::A, freshness),
            self.ask(host, RecordType::AAAA, freshness)
        );
        Addresses::of(v4).or(Addresses::of(v6))
    }

    async fn ask(&self, name: &Name, kind: RecordType, freshness: Freshness) -> Answer {
        if freshness == Freshness::Asked {
            self.resolver.clear_lookup_cache(name.clone(), kind);
        }
        match self.resolver.lookup(name.clone(), kind).await {
            // The answer to a question about an alias holds the alias as well.
            Ok(lookup) => Answer::Records(
                lookup
                    .answers()
                    .iter()
                    .filter(|record| record.record_type() == kind)
                    .map(|record| record.data.clone())
                    .collect(),
            ),
            Err(error) => Answer::of(&error),
        }
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    config
}

/// What DNS said to one question.
enum Answer {
    Records(Vec<RData>),
    NoSuchName,
    /// The name exists, without records of the kind.
    None,
    Unknown(InconclusiveCause),
}

impl Answer {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else went wrong, it proves nothing"
    )]
    fn of(error: &NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => Self::NoSuchName,
                // Without its SOA a negative answer proves nothing: parking servers and loops of aliases look the same.
                ResponseCode::NoError if none.soa.is_some() => Self::None,
                _ => Self::Unknown(InconclusiveCause::DnsUnclear),
            },
            NetError::Timeout => Self::Unknown(InconclusiveCause::DnsTimeout),
            _ => Self::Unknown(InconclusiveCause::DnsFailure),
        }
    }
}

/// What is known of the addresses of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    Public,
    NotPublic,
    None,
    Unknown(InconclusiveCause),
}

impl Addresses {
    fn of(answer: Answer) -> Self {
        match answer {
            Answer::Records(records) => {
                let addresses: Vec<IpAddr> = records.iter().filter_map(RData::ip_addr).collect();
                match addresses.iter().any(|address| is_public(*address)) {
                    true => Self::Public,
                    false if addresses.is_empty() => Self::Unknown(InconclusiveCause::DnsUnclear),
                    false => Self::NotPublic,
                }
            }
            Answer::NoSuchName | Answer::None => Self::None,
            Answer::Unknown(cause) => Self::Unknown(cause),
        }
    }

    /// What both families together say: one public address is enough, and what is unknown may be one.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Public, _) | (_, Self::Public) => Self::Public,
            (Self::Unknown(cause), _) | (_, Self::Unknown(cause)) => Self::Unknown(cause),
            (Self::NotPublic, _) | (_, Self::NotPublic) => Self::NotPublic,
            (Self::None, Self::None) => Self::None,
        }
    }
}

/// Whether mail from outside may reach `address`. The ranges for documentation count as public: nobody routes them, but they
/// stand in for the public ones wherever networks are imitated.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_shared = u32::from(v4) & 0xffc0_0000 == u32::from(Ipv4Addr::new(100, 64, 0, 0));
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || is_shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_reached_from_outside_are_not_public() {
        for outside in [
            "8.8.8.8",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "100.128.0.1",
            "2001:4860::8888",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
        for inside in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.9.9",
            "192.168.1.1",
            "169.254.1.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }

    #[test]
    fn an_unknown_family_may_hold_the_public_address() {
        let unknown = Addresses::Unknown(InconclusiveCause::DnsTimeout);
        assert_eq!(Addresses::Public.or(unknown), Addresses::Public);
        assert_eq!(Addresses::NotPublic.or(unknown), unknown);
        assert_eq!(unknown.or(Addresses::None), unknown);
        assert_eq!(
            Addresses::None.or(Addresses::NotPublic),
            Addresses::NotPublic
        );
        assert_eq!(Addresses::None.or(Addresses::None), Addresses::None);
    }
}
