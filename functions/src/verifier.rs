//! The network part of a verification: which hosts take mail for a domain, and whether blocklists name it, asked of DNS.
//!
//! RFC 5321 section 5.1 and RFC 7505 say what the answers mean. Only an answer that proves something is taken for one; everything
//! else is inconclusive, which blocks nobody. All questions that do not depend on each other are asked at once, within one
//! deadline. What the findings amount to is for [`leadlight::verification`] to say.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::pin::pin;
use core::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, ready, select};
use futures_util::stream::FuturesUnordered;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use leadlight::address::Address;
use leadlight::verification::{Findings, InconclusiveCause, MailHosts, Verification};
use tokio::time::Instant;

mod blocklists;
mod dns;

use blocklists::Blocklists;
pub use blocklists::{Blocklist, BlocklistError};
use dns::absolute;
pub(crate) use dns::{Answer, Dns};

/// How long the whole verification may take; a recheck has to answer within 5 s.
pub const DEADLINE: Duration = Duration::from_secs(4);
/// The most mail hosts of one domain that are looked at, best first. One that is reachable is enough.
const MOST_MAIL_HOSTS: usize = 8;
/// The longest that somebody is asked to wait before asking again, whatever a zone says: an SOA may claim years.
const LONGEST_WAIT_S: u32 = 86_400;

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
    dns: Dns,
    blocklists: Blocklists,
}

/// The system's name servers cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("read which name servers to ask")]
pub struct VerifierError(#[from] NetError);

impl Verifier {
    /// Asks `name_servers`, or the system's where there are none, and no blocklist.
    ///
    /// # Errors
    /// When the system's name servers cannot be told.
    pub fn new(name_servers: &[SocketAddr]) -> Result<Self, VerifierError> {
        Self::over(TokioRuntimeProvider::default(), name_servers)
    }

    /// The same over `network`.
    pub(crate) fn over(
        network: impl RuntimeProvider,
        name_servers: &[SocketAddr],
    ) -> Result<Self, VerifierError> {
        Ok(Self {
            dns: Dns::over(network, name_servers)?,
            blocklists: Blocklists::default(),
        })
    }

    /// Asks these blocklists too.
    #[must_use]
    pub fn with_blocklists(mut self, lists: Vec<Blocklist>) -> Self {
        self.blocklists = Blocklists::new(lists);
        self
    }

    /// Looks at `address`, for at most [`DEADLINE`].
    pub async fn verify(&self, address: &Address, freshness: Freshness) -> Verification {
        if freshness == Freshness::Asked {
            self.dns.forget();
        }
        let deadline = Instant::now() + DEADLINE;
        let (found, (listing, unchecked)) = futures_util::join!(
            tokio::time::timeout_at(deadline, Box::pin(self.mail_hosts(address.domain()))),
            Box::pin(self.blocklists.look(&self.dns, address, deadline)),
        );
        let found = found.unwrap_or(Found::unknown(InconclusiveCause::DnsTimeout));
        let findings = Findings {
            mail_hosts: found.mail_hosts,
            listing,
            unchecked,
        };
        let mut verification = Verification::new(address, findings);
        if let Some(kept_s) = found.kept_s {
            verification.retry_after_s = Some(kept_s.min(LONGEST_WAIT_S));
        }
        verification
    }

    /// Whether there are blocklists to ask.
    #[must_use]
    pub fn asks_blocklists(&self) -> bool {
        !self.blocklists.is_empty()
    }

    /// Looks at another address at the domain of one that was just verified: asks the blocklists alone.
    pub async fn verify_beside(&self, address: &Address, verified: &Verification) -> Verification {
        let deadline = Instant::now() + DEADLINE;
        let (listing, unchecked) = self.blocklists.look(&self.dns, address, deadline).await;
        let findings = Findings {
            mail_hosts: verified.findings.mail_hosts,
            listing,
            unchecked,
        };
        Verification {
            retry_after_s: verified.retry_after_s,
            ..Verification::new(address, findings)
        }
    }

    async fn mail_hosts(&self, domain: &str) -> Found {
        let Some(domain) = absolute(domain) else {
            return Found::unknown(InconclusiveCause::DnsUnclear);
        };
        let (mx, own) = (
            pin!(self.dns.ask(&domain, RecordType::MX)),
            pin!(self.addresses(&domain)),
        );
        // Both at once, since most domains without MX have an address; but nobody waits for it where there is MX.
        let (mx, own) = match select(mx, own).await {
            Either::Left((mx, own)) => (mx, Either::Left(own)),
            Either::Right((own, mx)) => (mx.await, Either::Right(ready(own))),
        };
        match mx {
            Answer::Records(records) => self.mx_hosts(records).await.into(),
            Answer::NoSuchName { kept_s } => Found {
                mail_hosts: MailHosts::NoSuchDomain,
                kept_s,
            },
            Answer::None { kept_s } => match own.await {
                Addresses::Public => MailHosts::Implicit.into(),
                Addresses::NotPublic => MailHosts::Unreachable.into(),
                Addresses::None => Found {
                    mail_hosts: MailHosts::None,
                    kept_s,
                },
                Addresses::Unknown(cause) => Found::unknown(cause),
            },
            Answer::Unknown(cause) => Found::unknown(cause),
        }
    }

    async fn mx_hosts(&self, records: Vec<RData>) -> MailHosts {
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
        hosts.dedup_by(|(_, a), (_, b)| a == b);
        let too_many = hosts.len() > MOST_MAIL_HOSTS;
        let mut open = too_many.then_some(InconclusiveCause::DnsUnclear);
        let mut asked: FuturesUnordered<_> = hosts
            .iter()
            .take(MOST_MAIL_HOSTS)
            .map(|(_, host)| self.addresses(host))
            .collect();
        while let Some(addresses) = asked.next().await {
            match addresses {
                Addresses::Public => return MailHosts::Mx,
                Addresses::NotPublic | Addresses::None => {}
                Addresses::Unknown(cause) => open = Some(cause),
            }
        }
        open.map_or(MailHosts::Unreachable, MailHosts::Unknown)
    }

    /// What is known of the addresses of `host`. One public address is enough; nobody waits for the other family then.
    async fn addresses(&self, host: &Name) -> Addresses {
        if is_network_address(host) {
            return Addresses::None;
        }
        let families = [RecordType::A, RecordType::AAAA];
        let mut asked: FuturesUnordered<_> = families
            .into_iter()
            .map(|family| self.dns.ask(host, family))
            .collect();
        let mut known = Addresses::None;
        while let Some(answer) = asked.next().await {
            known = known.or(Addresses::of(answer));
            if known == Addresses::Public {
                break;
            }
        }
        known
    }
}

/// The mail hosts of a domain, and how long name servers remember what was said of them if that was "none".
#[derive(Clone, Copy)]
struct Found {
    mail_hosts: MailHosts,
    kept_s: Option<u32>,
}

impl Found {
    fn unknown(cause: InconclusiveCause) -> Self {
        MailHosts::Unknown(cause).into()
    }
}

impl From<MailHosts> for Found {
    fn from(mail_hosts: MailHosts) -> Self {
        Self {
            mail_hosts,
            kept_s: None,
        }
    }
}

/// Whether the name of a mail host is a network address in disguise (`127.0.0.1.`): no top-level domain is a number (RFC 3696
/// section 2), so there is nothing to ask.
fn is_network_address(host: &Name) -> bool {
    let top_level = host.iter().next_back();
    top_level.is_some_and(|label| label.iter().all(u8::is_ascii_digit))
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
            Answer::NoSuchName { .. } | Answer::None { .. } => Self::None,
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
            let is_this_network = v4.octets().starts_with(&[0]);
            let is_reserved = u32::from(v4) >= u32::from(Ipv4Addr::new(224, 0, 0, 0));
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || is_this_network
                || is_reserved
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
            "0.1.2.3",
            "224.0.0.1",
            "240.0.0.1",
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

    #[test]
    fn a_network_address_in_the_place_of_a_host_is_known_for_what_it_is() {
        for (host, expected) in [
            ("127.0.0.1.", true),
            ("192.0.2.1.", true),
            ("mx1.example.", false),
            ("1.example.", false),
            ("localhost.", false),
        ] {
            assert_eq!(
                is_network_address(&absolute(host).unwrap()),
                expected,
                "{host}"
            );
        }
    }
}
