//! A DNS server on 127.0.0.1, UDP and TCP, that answers from a [`Zone`] which can change while it runs.
//!
//! It can misbehave on purpose (SERVFAIL, silence, truncation, no SOA, answers that come late) and remembers every question, so
//! that caching and time-outs can be asserted. It never answers with a real address: use the documentation networks of RFC 5737.

mod controls;
mod unplugged;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use hickory_proto::op::{Message, Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, SOA};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::task::Task;

pub use controls::Setup;
pub use hickory_proto::rr::RecordType;
pub use unplugged::Unplugged;

/// How long a forwarded question may take before it is dropped; the resolver that asked has given up by then.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(3);
/// A question about nothing, which is not written down: what was asked before it was heard before it.
const NOTHING: &str = "nothing.invalid";
/// How many aliases are followed within one answer.
const MAX_ALIASES: usize = 8;
/// How long records may be remembered, also those that say that there are none.
const TTL_S: u32 = 60;

/// What the server knows. A name that nothing was said about does not exist (NXDOMAIN, with SOA).
#[derive(Clone, Debug)]
pub struct Zone {
    hosts: BTreeMap<String, Host>,
    elsewhere: Elsewhere,
    ttl_s: u32,
    latency: Duration,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            elsewhere: Elsewhere::default(),
            ttl_s: TTL_S,
            latency: Duration::ZERO,
        }
    }
}

/// What is known under one name.
#[derive(Clone, Debug, Default)]
struct Host {
    mail: Vec<(u16, String)>,
    addresses: Vec<IpAddr>,
    alias: Option<String>,
    fault: Option<Fault>,
    fault_of: BTreeMap<RecordType, Fault>,
}

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers SERVFAIL.
    ServerFailure,
    /// Answers REFUSED.
    Refused,
    /// Does not answer.
    Silence,
    /// Answers that there are no such records, without the SOA record that would make that believable.
    NoAuthority,
    /// Answers that the name does not exist, without the SOA record.
    NoSuchDomainWithoutAuthority,
    /// Answers over UDP that the answer is too long, so that the question is asked again over TCP.
    Truncation,
    /// Answers rightly, so much later.
    Late(Duration),
    /// Answers that the name is an alias, and says nothing of what it stands for.
    AliasAlone,
}

/// What is said about names outside the zone.
#[derive(Clone, Debug, Default)]
enum Elsewhere {
    /// They do not exist: the zone is the whole world.
    #[default]
    NoSuchDomain,
    /// Names under these apexes are the zone's; nothing is known about others (SERVFAIL).
    Unknown { apexes: Vec<String> },
    /// Names under these apexes are the zone's; others are asked of these servers.
    Forward {
        apexes: Vec<String>,
        servers: Vec<SocketAddr>,
    },
}

impl Zone {
    /// Adds a domain that takes mail at `mx.<domain>`, which has this address.
    #[must_use]
    pub fn mail(self, domain: &str, address: Ipv4Addr) -> Self {
        let exchange = format!("mx.{domain}");
        self.mx(domain, 10, &exchange)
            .host(&exchange, address.into())
    }

    /// Adds an MX record.
    #[must_use]
    pub fn mx(mut self, domain: &str, preference: u16, exchange: &str) -> Self {
        self.entry(domain)
            .mail
            .push((preference, exchange.to_owned()));
        self
    }

    /// Adds a null MX record (RFC 7505): the domain says that it takes no mail.
    #[must_use]
    pub fn null_mx(self, domain: &str) -> Self {
        self.mx(domain, 0, ".")
    }

    /// Adds an A or AAAA record.
    #[must_use]
    pub fn host(mut self, name: &str, address: IpAddr) -> Self {
        self.entry(name).addresses.push(address);
        self
    }

    /// Adds a name that exists and has no records.
    #[must_use]
    pub fn empty(mut self, name: &str) -> Self {
        self.entry(name);
        self
    }

    /// Adds a CNAME record.
    #[must_use]
    pub fn alias(mut self, name: &str, target: &str) -> Self {
        self.entry(name).alias = Some(key(target));
        self
    }

    /// Makes every question about a name go wrong.
    #[must_use]
    pub fn fault(mut self, name: &str, fault: Fault) -> Self {
        self.entry(name).fault = Some(fault);
        self
    }

    /// Makes questions about a name go wrong if they are for records of this kind.
    #[must_use]
    pub fn fault_of(mut self, name: &str, kind: RecordType, fault: Fault) -> Self {
        self.entry(name).fault_of.insert(kind, fault);
        self
    }

    /// Lets records be remembered for so many seconds instead of a minute.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl_s = seconds;
        self
    }

    /// Lets every answer take so long.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Forgets everything about a name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.hosts.remove(&key(name));
        self
    }

    /// Confines the zone to names under `apexes`; other names get SERVFAIL, as on a machine without a network.
    #[must_use]
    pub fn alone(mut self, apexes: &[&str]) -> Self {
        self.elsewhere = Elsewhere::Unknown {
            apexes: keys(apexes),
        };
        self
    }

    /// Confines the zone to names under `apexes`; other names are asked of `servers`.
    #[must_use]
    pub fn forwarding(mut self, apexes: &[&str], servers: Vec<SocketAddr>) -> Self {
        self.elsewhere = Elsewhere::Forward {
            apexes: keys(apexes),
            servers,
        };
        self
    }

    fn entry(&mut self, name: &str) -> &mut Host {
        self.hosts.entry(key(name)).or_default()
    }

    /// Whether the name or anything below it is known (RFC 8020: a name above an existing one exists).
    fn exists(&self, name: &str) -> bool {
        let below = format!(".{name}");
        self.hosts
            .keys()
            .any(|host| host == name || host.ends_with(&below))
    }

    /// How the server misbehaves when it is asked about `name`, whose aliases end at `last`.
    fn fault_about(&self, name: &str, last: &str, kind: RecordType) -> Option<Fault> {
        let host = self.hosts.get(name).or_else(|| self.hosts.get(last))?;
        host.fault_of.get(&kind).copied().or(host.fault)
    }

    /// How long an answer takes.
    fn pause(&self, name: &str, kind: RecordType) -> Duration {
        let (_, last) = self.follow(name, kind);
        match self.fault_about(name, &last, kind) {
            Some(Fault::Late(late)) => self.latency + late,
            _ => self.latency,
        }
    }

    fn answer(&self, name: &str, kind: RecordType, over_tcp: bool) -> Answer {
        let (records, last) = self.follow(name, kind);
        match self.fault_about(name, &last, kind) {
            Some(Fault::AliasAlone) => {
                return Answer::Records {
                    records: records.into_iter().take(1).collect(),
                    authority: false,
                };
            }
            Some(Fault::ServerFailure) => return Answer::Error(ResponseCode::ServFail),
            Some(Fault::Refused) => return Answer::Error(ResponseCode::Refused),
            Some(Fault::Silence) => return Answer::Silence,
            Some(Fault::NoAuthority) => {
                return Answer::Records {
                    records: Vec::new(),
                    authority: false,
                };
            }
            Some(Fault::NoSuchDomainWithoutAuthority) => {
                return Answer::NoSuchDomain {
                    records: Vec::new(),
                    authority: false,
                };
            }
            Some(Fault::Truncation) if !over_tcp => return Answer::Truncated,
            Some(Fault::Truncation | Fault::Late(_)) | None => {}
        }
        if self.exists(&last) {
            // Aliases in a circle end in no SOA, which resolvers report like a name without such records.
            let is_circle = self
                .hosts
                .get(&last)
                .is_some_and(|host| host.alias.is_some());
            return Answer::Records {
                records,
                authority: !is_circle,
            };
        }
        match &self.elsewhere {
            Elsewhere::NoSuchDomain => Answer::NoSuchDomain {
                records,
                authority: true,
            },
            Elsewhere::Unknown { apexes } | Elsewhere::Forward { apexes, .. }
                if is_under(apexes, &last) =>
            {
                Answer::NoSuchDomain {
                    records,
                    authority: true,
                }
            }
            Elsewhere::Unknown { .. } => Answer::Error(ResponseCode::ServFail),
            Elsewhere::Forward { servers, .. } => Answer::Forward(servers.clone()),
        }
    }

    /// The records of `kind`, through aliases, and the name at the end of the aliases.
    fn follow(&self, name: &str, kind: RecordType) -> (Vec<(String, RData)>, String) {
        let mut records = Vec::new();
        let mut name = name.to_owned();
        for _ in 0..MAX_ALIASES {
            let Some(host) = self.hosts.get(&name) else {
                break;
            };
            if let Some(target) = &host.alias {
                records.push((name.clone(), RData::CNAME(CNAME(fqdn(target)))));
                name.clone_from(target);
                continue;
            }
            let found = host
                .records(kind)
                .into_iter()
                .map(|data| (name.clone(), data));
            records.extend(found);
            break;
        }
        (records, name)
    }
}

impl Host {
    fn records(&self, kind: RecordType) -> Vec<RData> {
        if kind == RecordType::MX {
            let mail = self.mail.iter();
            return mail
                .map(|(preference, exchange)| RData::MX(MX::new(*preference, fqdn(exchange))))
                .collect();
        }
        let addresses = self.addresses.iter().filter_map(|address| match address {
            IpAddr::V4(v4) => (kind == RecordType::A).then_some(RData::A(A(*v4))),
            IpAddr::V6(v6) => (kind == RecordType::AAAA).then_some(RData::AAAA(AAAA(*v6))),
        });
        addresses.collect()
    }
}

fn is_under(apexes: &[String], name: &str) -> bool {
    apexes
        .iter()
        .any(|apex| name == apex || name.ends_with(&format!(".{apex}")))
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| key(name)).collect()
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A name as DNS has it. Names of a zone come from our own code; one that cannot be written is the root.
fn fqdn(name: &str) -> Name {
    Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).unwrap_or_else(|_| Name::root())
}

enum Answer {
    Records {
        records: Vec<(String, RData)>,
        authority: bool,
    },
    NoSuchDomain {
        records: Vec<(String, RData)>,
        authority: bool,
    },
    Error(ResponseCode),
    Truncated,
    Silence,
    Forward(Vec<SocketAddr>),
}

/// One question that the server was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, lower case, without its final dot.
    pub name: String,
    /// The type of record, such as `MX`.
    pub kind: String,
    /// Whether it came over TCP.
    pub over_tcp: bool,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    _udp: Task,
    _tcp: Task,
}

#[derive(Debug)]
struct State {
    zone: RwLock<Zone>,
    questions: Mutex<Vec<Question>>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(zone: Zone) -> anyhow::Result<Self> {
        let (udp, tcp) = bind().await.context("open a port on 127.0.0.1 for DNS")?;
        let address = udp.local_addr()?;
        let state = Arc::new(State {
            zone: RwLock::new(zone),
            questions: Mutex::default(),
        });
        let udp = Task::spawn(serve_udp(Arc::new(udp), Arc::clone(&state)));
        let tcp = Task::spawn(serve_tcp(tcp, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _udp: udp,
            _tcp: tcp,
        })
    }

    /// Where it listens; the value of `LEADLIGHT_DNS`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `GET` and `PUT /dns/zone`, for pages on another origin.
    pub fn controls(&self) -> axum::Router {
        controls::router(&self.state)
    }

    /// Changes the zone: what is asked from now on sees the change.
    pub fn change(&self, change: impl FnOnce(Zone) -> Zone) {
        self.state.change(change);
    }

    /// Waits until every question that was sent before is written down, also one whose answer nobody waits for any more.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn listen(&self) -> anyhow::Result<()> {
        ask(self.address, NOTHING, RecordType::A).await?;
        Ok(())
    }

    /// Every question so far, oldest first.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.state
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many questions were asked about a name itself, of any type.
    #[must_use]
    pub fn questions_about(&self, name: &str) -> usize {
        let name = key(name);
        self.questions()
            .iter()
            .filter(|question| question.name == name)
            .count()
    }
}

/// UDP and TCP on the same port: the kernel picks one for UDP, and TCP may find it taken, so a few are tried.
async fn bind() -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut attempts_left = 16;
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if attempts_left == 0 => return Err(error),
            Err(_) => attempts_left -= 1,
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, state: Arc<State>) {
    let mut buffer = vec![0_u8; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let question = buffer.get(..length).unwrap_or_default().to_vec();
        // Here, so that questions are written down in the order in which they came.
        let Some(asked) = state.hear(&question, false) else {
            continue;
        };
        let (socket, state) = (Arc::clone(&socket), Arc::clone(&state));
        tokio::spawn(async move {
            if let Some(answer) = state.reply(asked, &question, false).await {
                // Whoever asked may be gone; UDP owes nobody an answer.
                let _ = socket.send_to(&answer, from).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move { serve_tcp_connection(stream, &state).await });
    }
}

async fn serve_tcp_connection(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0_u8; usize::from(length)];
        stream.read_exact(&mut question).await?;
        let Some(asked) = state.hear(&question, true) else {
            return Ok(());
        };
        let Some(answer) = state.reply(asked, &question, true).await else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
}

impl State {
    fn change(&self, change: impl FnOnce(Zone) -> Zone) {
        let mut zone = self.zone.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *zone);
        *zone = change(before);
    }

    /// Writes a question down; `None` if it is none.
    fn hear(&self, question: &[u8], over_tcp: bool) -> Option<Message> {
        let asked = Message::from_vec(question).ok()?;
        let query = asked.queries.first()?;
        let heard = Question {
            name: key(&query.name().to_ascii()),
            kind: query.query_type().to_string(),
            over_tcp,
        };
        if heard.name != NOTHING {
            self.questions
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(heard);
        }
        Some(asked)
    }

    /// The answer in wire format; `None` is silence.
    async fn reply(&self, asked: Message, question: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let query = asked.queries.first()?.clone();
        let name = key(&query.name().to_ascii());
        let kind = query.query_type();
        let (pause, ttl_s) = {
            let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner);
            (zone.pause(&name, kind), zone.ttl_s)
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let answer = self
            .zone
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .answer(&name, kind, over_tcp);
        let record = |(name, data): (String, RData)| Record::from_rdata(fqdn(&name), ttl_s, data);

        let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
        reply.metadata = Metadata::response_from_request(&asked.metadata);
        reply.metadata.recursion_available = true;
        reply.add_query(query);
        match answer {
            Answer::Silence => return None,
            Answer::Forward(servers) => return forward(question, &servers, over_tcp).await,
            Answer::Error(code) => reply.metadata.response_code = code,
            Answer::Truncated => reply.metadata.truncation = true,
            Answer::NoSuchDomain {
                records,
                authority: with_authority,
            } => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                reply.add_answers(records.into_iter().map(record));
                if with_authority {
                    reply.add_authority(authority(&name, ttl_s));
                }
            }
            Answer::Records {
                records,
                authority: with_authority,
            } => {
                let without_answer = !records.iter().any(|(_, data)| data.record_type() == kind);
                reply.add_answers(records.into_iter().map(record));
                if without_answer && with_authority {
                    reply.add_authority(authority(&name, ttl_s));
                }
            }
        }
        reply.to_vec().ok()
    }
}

/// The SOA record of the name's top-level domain, which says how long "there is none" may be remembered.
fn authority(name: &str, ttl_s: u32) -> Record {
    let apex = name.rsplit('.').next().unwrap_or_default();
    let soa = SOA::new(
        fqdn(&format!("ns.{apex}")),
        fqdn(&format!("hostmaster.{apex}")),
        1,
        3600,
        600,
        86_400,
        ttl_s,
    );
    Record::from_rdata(fqdn(apex), ttl_s, RData::SOA(soa))
}

async fn forward(question: &[u8], servers: &[SocketAddr], over_tcp: bool) -> Option<Vec<u8>> {
    for server in servers {
        let asked = async {
            if over_tcp {
                ask_tcp(question, *server).await
            } else {
                ask_udp(question, *server).await
            }
        };
        if let Ok(Ok(answer)) = tokio::time::timeout(FORWARD_TIMEOUT, asked).await {
            return Some(answer);
        }
    }
    None
}

async fn ask_udp(question: &[u8], server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0_u8; 4096];
    let length = socket.recv(&mut buffer).await?;
    buffer.truncate(length);
    Ok(buffer)
}

async fn ask_tcp(question: &[u8], server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream
        .write_u16(u16::try_from(question.len()).map_err(std::io::Error::other)?)
        .await?;
    stream.write_all(question).await?;
    let mut answer = vec![0_u8; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Asks one question of a server, by UDP and without any cache.
///
/// # Errors
/// When there is no answer, or none that can be read.
pub async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> anyhow::Result<Message> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(hickory_proto::op::Query::query(fqdn(name), kind));
    let question = question.to_vec()?;
    let answer = tokio::time::timeout(FORWARD_TIMEOUT, ask_udp(&question, server));
    Ok(Message::from_vec(&answer.await??)?)
}

/// The name servers of `/etc/resolv.conf`.
#[must_use]
pub fn system_servers() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    // A zone index (`fe80::1%eth0`) is no address for us; such a server is left out.
    servers
        .filter_map(|server| server.trim().parse::<IpAddr>().ok())
        .map(|ip| SocketAddr::new(ip, 53))
        .collect()
}

/// Whether one of `servers` answers a question about the root, which every resolver can.
pub async fn is_reachable(servers: &[SocketAddr]) -> bool {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(hickory_proto::op::Query::query(
        Name::root(),
        RecordType::NS,
    ));
    let Ok(question) = question.to_vec() else {
        return false;
    };
    forward(&question, servers, false).await.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(server: &Server, name: &str, kind: RecordType) -> Message {
        super::ask(server.address(), name, kind).await.unwrap()
    }

    #[tokio::test]
    async fn a_zone_is_answered_and_can_change() {
        let zone = Zone::default()
            .mail("acme.example", Ipv4Addr::new(192, 0, 2, 1))
            .null_mx("parked.example");
        let server = Server::start(zone).await.unwrap();

        let answer = ask(&server, "ACME.example", RecordType::MX).await;
        assert_eq!(
            answer.answers.first().unwrap().data.to_string(),
            "10 mx.acme.example."
        );
        let answer = ask(&server, "parked.example", RecordType::MX).await;
        assert_eq!(answer.answers.first().unwrap().data.to_string(), "0 .");
        let answer = ask(&server, "acme.example", RecordType::AAAA).await;
        assert_eq!(
            (answer.metadata.response_code, answer.authorities.len()),
            (ResponseCode::NoError, 1)
        );

        let answer = ask(&server, "acme.exmaple", RecordType::MX).await;
        assert_eq!(
            (answer.metadata.response_code, answer.authorities.len()),
            (ResponseCode::NXDomain, 1)
        );
        server.change(|zone| zone.mail("acme.exmaple", Ipv4Addr::new(192, 0, 2, 2)));
        let answer = ask(&server, "acme.exmaple", RecordType::MX).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert_eq!(server.questions_about("acme.example"), 2);
    }

    #[tokio::test]
    async fn a_name_above_an_existing_one_exists() {
        let server = Server::start(
            Zone::default().host("mx.acme.example", Ipv4Addr::new(192, 0, 2, 1).into()),
        );
        let answer = ask(&server.await.unwrap(), "acme.example", RecordType::MX).await;
        assert_eq!(
            (answer.metadata.response_code, answer.answers.len()),
            (ResponseCode::NoError, 0)
        );
    }

    #[tokio::test]
    async fn misbehaviour_is_on_demand() {
        let zone = Zone::default()
            .fault("broken.example", Fault::ServerFailure)
            .mail("long.example", Ipv4Addr::new(192, 0, 2, 1))
            .fault("long.example", Fault::Truncation)
            .alias("a.example", "b.example")
            .alias("b.example", "a.example");
        let server = Server::start(zone.alone(&["example"])).await.unwrap();
        let code = async |name: &str| {
            ask(&server, name, RecordType::MX)
                .await
                .metadata
                .response_code
        };
        assert_eq!(code("broken.example").await, ResponseCode::ServFail);
        assert_eq!(code("a.example").await, ResponseCode::NoError);
        assert_eq!(code("nobody.example").await, ResponseCode::NXDomain);
        assert_eq!(code("gmail.com").await, ResponseCode::ServFail);
        assert!(
            ask(&server, "long.example", RecordType::MX)
                .await
                .metadata
                .truncation
        );
        let mut question = Message::query();
        question.add_query(hickory_proto::op::Query::query(
            fqdn("long.example"),
            RecordType::MX,
        ));
        let answer = ask_tcp(&question.to_vec().unwrap(), server.address())
            .await
            .unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 1);
    }

    #[tokio::test]
    async fn a_fault_can_be_of_one_kind_and_an_answer_can_be_late_or_short_lived() {
        let late = Duration::from_millis(80);
        let zone = Zone::default()
            .mail("acme.example", Ipv4Addr::new(192, 0, 2, 1))
            .fault_of("acme.example", RecordType::MX, Fault::Late(late))
            .fault_of("acme.example", RecordType::A, Fault::Refused)
            .fault("gone.example", Fault::NoSuchDomainWithoutAuthority)
            .ttl(0);
        let server = Server::start(zone).await.unwrap();
        let started = std::time::Instant::now();
        let answer = ask(&server, "acme.example", RecordType::MX).await;
        assert!(started.elapsed() >= late);
        assert_eq!(answer.answers.first().map(|record| record.ttl), Some(0));
        let answer = ask(&server, "acme.example", RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
        let answer = ask(&server, "acme.example", RecordType::AAAA).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        let answer = ask(&server, "gone.example", RecordType::MX).await;
        assert_eq!(
            (answer.metadata.response_code, answer.authorities.len()),
            (ResponseCode::NXDomain, 0)
        );
    }
}
