//! Blocklists of spammers, asked by DNS (RFC 5782): lists of domains, and lists of hashes of addresses.
//!
//! Only the exact codes that a list documents count; any other answer is an error of the list and never a listing (facts: Spamhaus,
//! *return codes*; uribl.com/refused). A list is trusted only while its test points answer as they must. One that cannot be asked
//! makes no verdict inconclusive. The key of a list stands in its questions, which are never logged; [`Blocklist`] prints its name
//! alone.

use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use futures_util::future::join_all;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use leadlight::address::Address;
use leadlight::verification::{Listing, blocklist_key, is_free_mail};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::dns::{Answer, Dns, absolute};

/// The most lists: each is asked about every address.
const MOST_LISTS: usize = 8;
/// How long a list is trusted after its test points answered as they must.
const TRUSTED_FOR: Duration = Duration::from_hours(1);
/// How long a list is left alone that answered wrongly or not at all.
const SHUNNED_FOR: Duration = Duration::from_mins(1);
/// The entry that every list of domains has (RFC 5782 section 5).
const TEST_POINT: &str = "test";
/// The entry that no list of domains has (RFC 5782 section 5).
const CONTROL_POINT: &str = "invalid";
/// Where the key stands in the name of a zone.
const KEY_PLACE: &str = "{key}";

/// A list, as an operator describes it.
#[derive(Clone)]
pub struct Blocklist {
    name: String,
    /// With the key in it.
    zone: SecretString,
    kind: Kind,
    listed: Codes,
    warned: Codes,
    test_point: String,
    control_point: String,
}

/// Of what a list is.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Domains, as they are.
    Domain,
    /// SHA-1 of canonical addresses in hexadecimal, as the MSBL's EBL has them (msbl.org/ebl-design).
    AddressSha1,
    /// SHA-256 of canonical addresses in Base32, as the Spamhaus HBL has them (Spamhaus, *DQS requests*).
    AddressSha256,
}

/// Ranges of codes, both ends included.
#[derive(Clone, Default, PartialEq, Eq)]
struct Codes(Vec<(Ipv4Addr, Ipv4Addr)>);

/// Why the description of the lists cannot be used. Names the field, never its value: that may be a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {fault}")]
pub struct BlocklistError {
    /// The field, as a JSON pointer.
    pub field: String,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// A list as it stands in the description.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    zone: String,
    key: Option<SecretString>,
    kind: Kind,
    listed: Vec<String>,
    #[serde(default)]
    warned: Vec<String>,
    test_point: Option<String>,
    control_point: Option<String>,
}

impl Blocklist {
    /// Reads lists from JSON, an array of objects; see `VERIFICATION.md` for their fields.
    ///
    /// # Errors
    /// When it cannot be used as it stands.
    pub fn read_all(json: &str) -> Result<Vec<Self>, BlocklistError> {
        let whole = |fault| BlocklistError {
            field: "the whole".to_owned(),
            fault,
        };
        let json: serde_json::Value =
            serde_json::from_str(json).map_err(|_| whole("is not JSON"))?;
        let all = json.as_array().ok_or_else(|| whole("is not an array"))?;
        if all.len() > MOST_LISTS {
            return Err(whole("has more than 8 lists"));
        }
        let mut names = BTreeSet::new();
        let mut lists = Vec::new();
        for (index, description) in all.iter().enumerate() {
            let list = Self::read(description).map_err(|(field, fault)| BlocklistError {
                field: format!("/{index}{field}"),
                fault,
            })?;
            if !names.insert(list.name.clone()) {
                return Err(BlocklistError {
                    field: format!("/{index}/name"),
                    fault: "is the name of another list",
                });
            }
            lists.push(list);
        }
        Ok(lists)
    }

    fn read(description: &serde_json::Value) -> Result<Self, (String, &'static str)> {
        let description: Description = serde_path_to_error::deserialize(description)
            .map_err(|error| (place(&error), "is missing, unknown or not of its kind"))?;
        let at = |field: &str, fault| (format!("/{field}"), fault);
        if description.name.trim().is_empty() {
            return Err(at("name", "is empty"));
        }
        let has_place = description.zone.contains(KEY_PLACE);
        let zone = match &description.key {
            Some(_) if !has_place => {
                return Err(at("zone", "has no {key} in it to put the key in"));
            }
            None if has_place => return Err(at("key", "is missing: the zone has {key} in it")),
            Some(key) if !is_label(key.expose_secret()) => {
                return Err(at("key", "is no label of a name"));
            }
            Some(key) => description.zone.replace(KEY_PLACE, key.expose_secret()),
            None => description.zone,
        };
        if !zone.contains('.') || zone.starts_with('.') || absolute(&zone).is_none() {
            return Err(at("zone", "is no domain"));
        }
        let listed = Codes::read(&description.listed, "listed")?;
        if listed.0.is_empty() {
            return Err(at("listed", "is empty"));
        }
        let warned = Codes::read(&description.warned, "warned")?;
        if warned.0.iter().any(|range| listed.overlap(*range)) {
            return Err(at("warned", "has codes that listed has too"));
        }
        let kind = description.kind;
        let point = |given: Option<String>, field: &str, usual: Option<&str>| {
            let point = given.or_else(|| usual.map(str::to_owned));
            let point = point
                .ok_or_else(|| at(field, "is missing: a list of addresses has no usual one"))?;
            let subject = kind.subject_of_point(&point);
            subject
                .filter(|subject| absolute(&format!("{subject}.{zone}")).is_some())
                .ok_or_else(|| at(field, "is nothing that the list could hold"))
        };
        let (test, control) = match kind {
            Kind::Domain => (Some(TEST_POINT), CONTROL_POINT),
            Kind::AddressSha1 | Kind::AddressSha256 => (None, "nobody@control.example"),
        };
        Ok(Self {
            test_point: point(description.test_point, "test_point", test)?,
            control_point: point(description.control_point, "control_point", Some(control))?,
            name: description.name,
            zone: zone.into(),
            kind,
            listed,
            warned,
        })
    }

    /// What the list is asked about `address`; `None` if it has no say.
    fn subject(&self, address: &Address) -> Option<String> {
        match self.kind {
            // Half the world is at these domains: what is listed of one of them says nothing of a person.
            Kind::Domain => (!is_free_mail(address.domain())).then(|| address.domain().to_owned()),
            Kind::AddressSha1 | Kind::AddressSha256 => self.kind.hash(address),
        }
    }

    fn question(&self, subject: &str) -> Option<Name> {
        absolute(&[subject, ".", self.zone.expose_secret()].concat())
    }

    fn read_answer(&self, answer: Answer) -> Said {
        let records = match answer {
            Answer::Records(records) => records,
            Answer::NoSuchName { .. } | Answer::None { .. } => return Said::NotListed,
            Answer::Unknown(_) => return Said::Nothing,
        };
        let codes = records.iter().map(|record| {
            if let RData::A(code) = record {
                code.0
            } else {
                Ipv4Addr::UNSPECIFIED
            }
        });
        let mut said = None;
        for code in codes {
            if self.listed.has(code) {
                said = Some(Said::Listed);
            } else if self.warned.has(code) {
                said = said.or(Some(Said::Warned));
            } else {
                return Said::Error(code);
            }
        }
        said.unwrap_or(Said::Error(Ipv4Addr::UNSPECIFIED))
    }
}

impl fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocklist").field(&self.name).finish()
    }
}

/// Where the description is wrong, as a JSON pointer. The library's own words may repeat a value.
fn place(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    if path == "." {
        // What is missing or unknown is named between backticks, before anything that could be a value.
        let words = error.inner().to_string();
        let is_of_field = words.starts_with("missing field") || words.starts_with("unknown field");
        let field = words.split('`').nth(1).filter(|_| is_of_field);
        return field.map_or_else(String::new, |field| format!("/{field}"));
    }
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}

/// Whether a key can stand in a name: it must not smuggle further labels into it.
fn is_label(key: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=63).contains(&key.len()) && key.bytes().all(allowed)
}

impl Kind {
    fn hash(self, address: &Address) -> Option<String> {
        let canonical = blocklist_key(address);
        match self {
            Self::Domain => None,
            Self::AddressSha1 => Some(HEXLOWER.encode(&Sha1::digest(canonical))),
            Self::AddressSha256 => Some(BASE32_NOPAD.encode(&Sha256::digest(canonical))),
        }
    }

    fn subject_of_point(self, point: &str) -> Option<String> {
        match self {
            Self::Domain => Some(point.to_owned()),
            Self::AddressSha1 | Self::AddressSha256 => self.hash(&Address::parse(point).ok()?),
        }
    }
}

impl Codes {
    fn read(texts: &[String], field: &str) -> Result<Self, (String, &'static str)> {
        let read = |(index, text): (usize, &String)| {
            let at = |fault| (format!("/{field}/{index}"), fault);
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last): (Ipv4Addr, Ipv4Addr) = first
                .trim()
                .parse()
                .ok()
                .zip(last.trim().parse().ok())
                .ok_or_else(|| at("is neither an IPv4 address nor two with a hyphen between"))?;
            if first > last || !first.is_loopback() || !last.is_loopback() {
                return Err(at("is no range within 127.0.0.0/8"));
            }
            let range = Self(vec![(first, last)]);
            // What lists answer to those whom they refuse; 127.0.0.1 is URIBL's, 127.255.255.0/24 Spamhaus's.
            let refusals = [
                (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST),
                (
                    Ipv4Addr::new(127, 255, 255, 0),
                    Ipv4Addr::new(127, 255, 255, 255),
                ),
            ];
            if refusals.iter().any(|refusal| range.overlap(*refusal)) {
                return Err(at("has codes by which lists refuse to answer"));
            }
            Ok((first, last))
        };
        let ranges = texts.iter().enumerate().map(read);
        Ok(Self(ranges.collect::<Result<_, _>>()?))
    }

    fn has(&self, code: Ipv4Addr) -> bool {
        self.overlap((code, code))
    }

    fn overlap(&self, (first, last): (Ipv4Addr, Ipv4Addr)) -> bool {
        self.0
            .iter()
            .any(|(from, to)| *from <= last && first <= *to)
    }
}

/// What a list said to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    NotListed,
    Warned,
    Listed,
    /// A code that it does not document for a listing.
    Error(Ipv4Addr),
    /// It did not answer, or its name server failed.
    Nothing,
}

/// The lists of a deployment, and how each of them does. Clones share that.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocklists(Arc<[Watched]>);

#[derive(Debug)]
struct Watched {
    list: Blocklist,
    state: Mutex<State>,
}

/// How a list does.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    trust: Trust,
    /// Whether the operator was told that it does badly.
    is_alarmed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Trust {
    /// Its test points were not asked yet, or too long ago.
    #[default]
    Unknown,
    /// They answered as they must.
    Until(Instant),
    /// It is left alone.
    NotBefore(Instant),
}

/// What is wrong with a list, for whoever has to repair it.
#[derive(Clone, Copy)]
enum Fault {
    /// It refuses to answer, or what answers is not the list.
    Code(Ipv4Addr),
    TestPointNotListed,
    ControlPointListed,
    Silent,
}

impl Blocklists {
    pub(super) fn new(lists: Vec<Blocklist>) -> Self {
        let watched = lists.into_iter().map(|list| Watched {
            list,
            state: Mutex::default(),
        });
        Self(watched.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks every list that has a say about `address`, all at once, until `deadline`. Answers what they say, and the names of
    /// those that could not be asked.
    pub(super) async fn look(
        &self,
        dns: &Dns,
        address: &Address,
        deadline: Instant,
    ) -> (Listing, Vec<String>) {
        let asked = self.0.iter().filter_map(|watched| {
            let question = watched.list.subject(address)?;
            Some(async move {
                let said = timeout_at(deadline, watched.ask(dns, &question)).await;
                (&watched.list.name, said.unwrap_or(Said::Nothing))
            })
        });
        let mut listing = Listing::None;
        let mut unchecked = Vec::new();
        for (name, said) in join_all(asked).await {
            match (said, &listing) {
                (Said::Listed, Listing::None | Listing::Warned { .. }) => {
                    listing = Listing::Spammer { list: name.clone() };
                }
                (Said::Warned, Listing::None) => {
                    listing = Listing::Warned { list: name.clone() };
                }
                (Said::Listed | Said::Warned | Said::NotListed, _) => {}
                (Said::Error(_) | Said::Nothing, _) => unchecked.push(name.clone()),
            }
        }
        (listing, unchecked)
    }
}

impl Watched {
    /// What the list says of `subject`, if it is to be trusted.
    async fn ask(&self, dns: &Dns, subject: &str) -> Said {
        let now = Instant::now();
        let is_trusted = match self.state().trust {
            Trust::Until(until) if now < until => true,
            Trust::NotBefore(from) if now < from => return Said::Nothing,
            Trust::Unknown | Trust::Until(_) | Trust::NotBefore(_) => false,
        };
        if is_trusted {
            let said = self.question(dns, subject).await;
            match said {
                Said::Error(code) => self.distrust(Fault::Code(code)),
                // One lost answer is nobody's business; that the list is left alone for a while keeps others from waiting.
                Said::Nothing => self.state().trust = Trust::NotBefore(now + SHUNNED_FOR),
                Said::NotListed | Said::Warned | Said::Listed => {}
            }
            return said;
        }
        // All at once, so that the first address waits no longer than the others.
        let (said, test, control) = futures_util::join!(
            self.question(dns, subject),
            self.question(dns, &self.list.test_point),
            self.question(dns, &self.list.control_point),
        );
        let fault = match (test, control, said) {
            (Said::Error(code), _, _) | (_, Said::Error(code), _) | (_, _, Said::Error(code)) => {
                Fault::Code(code)
            }
            (Said::Nothing, _, _) | (_, Said::Nothing, _) | (_, _, Said::Nothing) => Fault::Silent,
            (Said::NotListed, _, _) => Fault::TestPointNotListed,
            (_, Said::Listed | Said::Warned, _) => Fault::ControlPointListed,
            (Said::Listed | Said::Warned, Said::NotListed, said) => {
                *self.state() = State {
                    trust: Trust::Until(Instant::now() + TRUSTED_FOR),
                    is_alarmed: false,
                };
                return said;
            }
        };
        self.distrust(fault);
        Said::Nothing
    }

    async fn question(&self, dns: &Dns, subject: &str) -> Said {
        match self.list.question(subject) {
            Some(name) => self.list.read_answer(dns.ask(&name, RecordType::A).await),
            // Longer than a name can be: no list can hold it.
            None => Said::NotListed,
        }
    }

    /// Leaves the list alone for a while, and says so, once until it does well again.
    fn distrust(&self, fault: Fault) {
        let mut state = self.state();
        state.trust = Trust::NotBefore(Instant::now() + SHUNNED_FOR);
        let is_known = core::mem::replace(&mut state.is_alarmed, true);
        drop(state);
        if is_known {
            return;
        }
        let (fault, code) = match fault {
            Fault::Code(code) => ("refused", Some(code.to_string())),
            Fault::TestPointNotListed => ("test_point_not_listed", None),
            Fault::ControlPointListed => ("control_point_listed", None),
            Fault::Silent => ("silent", None),
        };
        tracing::error!(
            alarm = "blocklist",
            blocklist = self.list.name,
            fault,
            code,
            "a blocklist cannot be trusted and is not asked; addresses are not checked against it"
        );
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = "k3yk3yk3y";

    fn dbl() -> Value {
        json!({
            "name": "Spamhaus DBL",
            "zone": "{key}.dbl.dq.spamhaus.net",
            "key": KEY,
            "kind": "domain",
            "listed": ["127.0.1.2-127.0.1.99"],
            "warned": ["127.0.1.102-127.0.1.106"],
        })
    }

    fn read(list: &Value) -> Result<Blocklist, BlocklistError> {
        let lists = Blocklist::read_all(&json!([list]).to_string());
        lists.map(|mut lists| lists.remove(0))
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn says(list: &Blocklist, codes: &[&str]) -> Said {
        let record = |code: &&str| RData::A(code.parse::<Ipv4Addr>().unwrap().into());
        list.read_answer(Answer::Records(codes.iter().map(record).collect()))
    }

    #[test]
    fn only_documented_codes_are_listings() {
        let list = read(&dbl()).unwrap();
        for (codes, expected) in [
            (["127.0.1.2"].as_slice(), Said::Listed),
            (&["127.0.1.5"], Said::Listed),
            (&["127.0.1.99"], Said::Listed),
            (&["127.0.1.102"], Said::Warned),
            (&["127.0.1.106"], Said::Warned),
            (&["127.0.1.104", "127.0.1.4"], Said::Listed),
        ] {
            assert_eq!(says(&list, codes), expected, "{codes:?}");
        }
        for error in [
            "127.0.1.1",
            "127.0.1.100",
            "127.0.1.107",
            "127.0.1.255",
            "127.0.0.1",
            "127.0.0.2",
            "127.255.255.252",
            "127.255.255.254",
            "127.255.255.255",
            "192.0.2.1",
            "0.0.0.0",
        ] {
            let code = Said::Error(error.parse().unwrap());
            assert_eq!(says(&list, &[error]), code);
            assert_eq!(says(&list, &["127.0.1.2", error]), code, "beside a listing");
        }
        let none = list.read_answer(Answer::Records(Vec::new()));
        assert_eq!(none, Said::Error(Ipv4Addr::UNSPECIFIED));
        let missing = Answer::NoSuchName { kept_s: None };
        assert_eq!(list.read_answer(missing), Said::NotListed);
    }

    #[test]
    fn a_list_is_asked_as_it_documents() {
        let question = |list: &Value, text: &str| {
            let list = read(list).unwrap();
            let subject = list.subject(&address(text))?;
            Some(list.question(&subject)?.to_ascii())
        };
        assert_eq!(
            question(&dbl(), "ann@mail.shop.test-shop.com").unwrap(),
            format!("mail.shop.test-shop.com.{KEY}.dbl.dq.spamhaus.net.")
        );
        assert_eq!(
            question(&dbl(), "ann@gmail.com"),
            None,
            "free mail is exempt"
        );

        // The vector of the Spamhaus documentation, *HBL*.
        let hbl = json!({
            "name": "HBL", "zone": "_email.{key}.hbl.dq.spamhaus.net", "key": KEY, "kind": "address_sha256",
            "listed": ["127.0.3.2"], "test_point": "user@hbltest.com",
        });
        let hash = "F3PDGTMWU6LFIGDJC67YNIWRY5ZRM7ERLETNFO36QAEQPMBPW2DA";
        let expected = format!("{hash}._email.{KEY}.hbl.dq.spamhaus.net.");
        for text in ["user@hbltest.com", "User+tag@HBLtest.com"] {
            assert_eq!(question(&hbl, text).unwrap(), expected, "{text}");
        }
        assert_eq!(read(&hbl).unwrap().test_point, hash);

        let ebl = json!({
            "name": "EBL", "zone": "ebl.msbl.org", "kind": "address_sha1",
            "listed": ["127.0.0.2"], "test_point": "noemail@example.com",
        });
        // SHA-1 of "ab@gmail.com", by sha1sum.
        let expected = "f9dd041bcea08ab0e3f65783dd04990691e2f4a2";
        for text in ["a.b+x@googlemail.com", "AB@gmail.com"] {
            assert_eq!(
                question(&ebl, text).unwrap(),
                format!("{expected}.ebl.msbl.org."),
                "{text}: free mail is not exempt from lists of addresses"
            );
        }
    }

    #[test]
    fn a_wrong_description_names_the_field_and_never_its_value() {
        let changed = |field: &str, value: Value| {
            let mut list = dbl();
            list[field] = value;
            list
        };
        let without = |field: &str| {
            let mut list = dbl();
            list.as_object_mut().unwrap().remove(field);
            list
        };
        let rows = [
            (without("name"), "/0/name"),
            (without("zone"), "/0/zone"),
            (without("kind"), "/0/kind"),
            (without("listed"), "/0/listed"),
            (without("key"), "/0/key"),
            (changed("nmae", json!("x")), "/0/nmae"),
            (changed("name", json!(" ")), "/0/name"),
            (changed("key", json!(77_345)), "/0/key"),
            (changed("key", json!("k3y.evil")), "/0/key"),
            (changed("key", json!("")), "/0/key"),
            (changed("zone", json!("dbl.spamhaus.org")), "/0/zone"),
            (changed("zone", json!("{key}")), "/0/zone"),
            (changed("zone", json!("{key}..org")), "/0/zone"),
            (changed("kind", json!("ip")), "/0/kind"),
            (changed("listed", json!([])), "/0/listed"),
            (changed("listed", json!("127.0.1.2")), "/0/listed"),
            (changed("listed", json!(["127.0.1.2", 3])), "/0/listed/1"),
            (changed("listed", json!(["any"])), "/0/listed/0"),
            (changed("listed", json!(["10.0.0.1"])), "/0/listed/0"),
            (
                changed("listed", json!(["127.0.1.9-127.0.1.2"])),
                "/0/listed/0",
            ),
            (changed("listed", json!(["127.0.0.1"])), "/0/listed/0"),
            (changed("listed", json!(["127.0.0.0/8"])), "/0/listed/0"),
            (
                changed("listed", json!(["127.0.0.2-127.255.255.255"])),
                "/0/listed/0",
            ),
            (changed("warned", json!(["127.0.1.50"])), "/0/warned"),
            (changed("kind", json!("address_sha1")), "/0/test_point"),
            (changed("test_point", json!("no name.")), "/0/test_point"),
            (json!("dbl"), "/0"),
        ];
        for (list, field) in rows {
            let error = read(&list).unwrap_err();
            assert_eq!(error.field, field, "{error}");
            let text = error.to_string();
            for secret in [KEY, "77345", "k3y"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        for whole in ["", "{}", "[", "null"] {
            assert_eq!(Blocklist::read_all(whole).unwrap_err().field, "the whole");
        }
        let twice = json!([dbl(), dbl()]).to_string();
        assert_eq!(Blocklist::read_all(&twice).unwrap_err().field, "/1/name");
        let mut many = vec![dbl(); 9];
        for (n, list) in many.iter_mut().enumerate() {
            list["name"] = n.to_string().into();
        }
        let many = Value::from(many).to_string();
        assert_eq!(Blocklist::read_all(&many).unwrap_err().field, "the whole");
        assert_eq!(Blocklist::read_all("[]").unwrap().len(), 0);
    }

    #[test]
    fn a_list_prints_its_name_alone() {
        let list = read(&dbl()).unwrap();
        assert_eq!(format!("{list:?}"), "Blocklist(\"Spamhaus DBL\")");
        assert_eq!(
            format!("{:?}", Blocklists::new(vec![list]))
                .matches(KEY)
                .count(),
            0
        );
    }
}
