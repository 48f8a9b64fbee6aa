//! Asking DNS one question, and telling what an answer proves from what it does not.
//!
//! Only NXDOMAIN, or a negative answer with its SOA record (RFC 2308), proves that there is nothing. Whatever else is no list of
//! records proves nothing. Never logs a question: the keys of blocklists stand in their names.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::RuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use leadlight::verification::InconclusiveCause;

use super::VerifierError;

/// How long one name server has for one query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often an unanswered query is repeated.
const RETRIES: usize = 1;
/// The longest that an answer is believed, whatever its TTL: a frozen Lambda's clock may not age it.
const LONGEST_KEPT: Duration = Duration::from_hours(1);
/// The longest that "there is none" is believed: people repair DNS and try again.
const LONGEST_NEGATIVE_KEPT: Duration = Duration::from_secs(30);

/// Asks name servers, and remembers their answers for their time to live.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    resolver: Arc<dyn Resolve>,
}

/// A resolver over whatever network.
trait Resolve: fmt::Debug + Send + Sync {
    fn lookup(&self, name: Name, kind: RecordType) -> BoxFuture<'_, Result<Lookup, NetError>>;
    fn forget(&self);
}

impl<N: RuntimeProvider> Resolve for Resolver<N> {
    fn lookup(&self, name: Name, kind: RecordType) -> BoxFuture<'_, Result<Lookup, NetError>> {
        Box::pin(self.lookup(name, kind))
    }

    fn forget(&self) {
        self.clear_cache();
    }
}

/// What DNS said to one question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The records of the kind; may be none, where the answer held others alone.
    Records(Vec<RData>),
    /// The name does not exist.
    NoSuchName {
        /// Seconds for which name servers remember that.
        kept_s: Option<u32>,
    },
    /// The name exists, without records of the kind.
    None {
        /// Seconds for which name servers remember that.
        kept_s: Option<u32>,
    },
    /// Nothing is proven.
    Unknown(InconclusiveCause),
}

impl Dns {
    /// Asks `name_servers`, or the system's where there are none, over `network`.
    pub(crate) fn over(
        network: impl RuntimeProvider,
        name_servers: &[SocketAddr],
    ) -> Result<Self, VerifierError> {
        let (servers, options) = if name_servers.is_empty() {
            let (system, options) = hickory_resolver::system_conf::read_system_conf()?;
            (system.name_servers, options)
        } else {
            let servers = name_servers.iter().map(|server| name_server(*server));
            (servers.collect(), ResolverOpts::default())
        };
        // Without a search list: a domain without its final dot must never be looked for inside somebody's network.
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = Resolver::builder_with_config(config, network).with_options(options);
        let options = builder.options_mut();
        options.timeout = QUERY_TIMEOUT;
        options.attempts = RETRIES;
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(LONGEST_KEPT);
        options.negative_max_ttl = Some(LONGEST_NEGATIVE_KEPT);
        Ok(Self {
            resolver: Arc::new(builder.build()?),
        })
    }

    /// Forgets every answer. Which of them a repaired zone touches nobody can tell: it may be a host's address, or the end of an
    /// alias.
    pub(super) fn forget(&self) {
        self.resolver.forget();
    }

    pub(crate) async fn ask(&self, name: &Name, kind: RecordType) -> Answer {
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

impl Answer {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else went wrong, it proves nothing"
    )]
    fn of(error: &NetError) -> Self {
        match error {
            NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
                ResponseCode::NXDomain => Self::NoSuchName {
                    kept_s: none.negative_ttl,
                },
                // Without its SOA a negative answer proves nothing: parking servers and loops of aliases look the same.
                ResponseCode::NoError if none.soa.is_some() => Self::None {
                    kept_s: none.negative_ttl,
                },
                _ => Self::Unknown(InconclusiveCause::DnsUnclear),
            },
            NetError::Timeout => Self::Unknown(InconclusiveCause::DnsTimeout),
            _ => Self::Unknown(InconclusiveCause::DnsFailure),
        }
    }
}

/// `name` with its final dot: nothing is ever looked for relative to somebody's network. `None` if it is no name of DNS.
pub(super) fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}
