//! What a fuzzer tries: each function takes any octets, and panics where a promise is broken.
//!
//! The programs that call them are in `tests/fuzz`; the tests below call them with every seed, so that what was found once stays
//! mended. Compiled for these two alone.

use core::fmt::Debug;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use lambda_http::http::header::CONTENT_TYPE;
use lambda_http::{Body, Request};
use leadlight::address::{Address, AddressKey};
use leadlight::api::{
    SaveLead, SaveWebhook, SendChecksRequest, SendRequest, StatusesRequest, VerifyRequest,
};
use leadlight::evidence::{Evidence, Piece};
use leadlight::feedback::{Published, parse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::access::Unverified;
use crate::exchange;
use crate::feedback::envelope::{self, Event};
use crate::sends;
use crate::subscriber::message::Message;
use crate::table::item::{Account, Algorithm, PublicKey};

/// When all of it happens: 2026-03-05T10:00:00Z.
const NOW: i64 = 1_772_704_800;
/// The public half of the Ed25519 key of RFC 8037 appendix A.
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// The public half of the P-256 key of RFC 7515 appendix A.3.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// All that the account ever signed: header and claims of the one token among the seeds.
pub const SIGNED: &str = include_str!("../../tests/fuzz/corpus/token/signed");
/// The most octets of a body: none is larger than a fuzzer makes it.
const MOST_OCTETS: usize = 1 << 20;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap_or_default()
}

/// An address reads the same as it is shown, and what is said of a text that is none points into it.
///
/// # Panics
/// Where that is not so.
pub fn address(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else {
        return;
    };
    match Address::parse(text) {
        Ok(address) => {
            let shown = address.as_str();
            assert_eq!(
                Address::parse(shown).as_ref(),
                Ok(&address),
                "as it is shown"
            );
            assert_eq!(
                Address::parse_mailbox(text).as_ref(),
                Ok(&address),
                "as a mailbox"
            );
            let named = format!("Ann <{shown}>");
            assert_eq!(
                Address::parse_mailbox(&named).as_ref(),
                Ok(&address),
                "behind a name"
            );
            let form = Address::parse(&address.key_form()).map(|form| form.key_form());
            assert_eq!(
                form,
                Ok(address.key_form()),
                "a key's form is one of its own"
            );
            let upper = Address::parse(&shown.to_ascii_uppercase());
            assert!(
                upper.is_ok_and(|upper| upper.is_same_mailbox(&address)),
                "letter case"
            );
        }
        Err(error) => {
            let characters: Vec<char> = text.trim().chars().collect();
            let at = |position: usize| characters.get(position.checked_sub(1)?).copied();
            if let Some(position) = error.position() {
                assert!(
                    at(position).is_some(),
                    "the fault stands in the text: {error:?}"
                );
                let character = error.character();
                assert!(
                    character.is_none() || at(position) == character,
                    "{error:?}"
                );
            }
            if let Some(inner) = error.inner() {
                assert_eq!(
                    Address::parse(inner.as_str()).as_ref(),
                    Ok(inner),
                    "what was meant"
                );
            }
            assert!(!error.sentence().is_empty() && !error.code().is_empty());
        }
    }
}

/// A notification says nothing of anybody whom it does not name, and the same whatever the order of its members. What it says
/// adds up to the same evidence in any order, and twice as well as once.
///
/// # Panics
/// Where that is not so.
pub fn notification(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else {
        return;
    };
    let Ok(Published::Notification(read)) = parse(text, now()) else {
        return;
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let mut strings = Vec::new();
    gather(&json, &mut strings);
    for feedback in &read.feedback {
        let spelling = &feedback.spelling;
        let named = strings
            .iter()
            .any(|string| string.contains(spelling.as_str()));
        assert!(named, "{spelling} is named nowhere");
        let spelled = Address::parse_mailbox(spelling);
        assert_eq!(spelled.as_ref(), Ok(&feedback.address), "{spelling}");
        let late = feedback.at.duration_since(now());
        assert!(
            late.as_mins() <= 10,
            "nothing happens in the future: {late}"
        );
    }
    let backwards = parse(&backwards(&json), now());
    assert_eq!(
        backwards,
        Ok(Published::Notification(read.clone())),
        "in another order"
    );

    let Some(first) = read.feedback.first() else {
        return;
    };
    let key = AddressKey::new("6b".to_owned());
    let of_first = read
        .feedback
        .iter()
        .filter(|feedback| feedback.address == first.address);
    let pieces: Vec<Piece> = of_first.map(|feedback| feedback.piece(&key)).collect();
    let once = Evidence::default().merge(pieces.clone());
    let other = Evidence::default().merge(pieces.iter().rev().cloned());
    assert_eq!(once, other, "evidence in another order");
    assert_eq!(
        once.clone().merge(pieces),
        once,
        "evidence that comes twice"
    );
}

/// What is put into an envelope comes out of it, and every record of a queue is answered for by its own id.
///
/// # Panics
/// Where that is not so.
pub fn envelope(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else {
        return;
    };
    let queued = |body: &str| json!({ "Records": [{ "messageId": "1", "body": body }] });
    let sns = json!({ "Type": "Notification", "Message": text }).to_string();
    let alone = envelope::open(&queued(text));
    assert_eq!(
        alone,
        envelope::open(&queued(&sns)),
        "in an envelope of SNS"
    );
    assert!(alone.is_some(), "a record with an id and a body is one");

    let Ok(event) = serde_json::from_str::<Value>(text) else {
        return;
    };
    if let Some(Event::Queue(records)) = envelope::open(&event) {
        let ids = event
            .get("Records")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let ids: Vec<_> = ids
            .map(|record| record.get("messageId").and_then(Value::as_str))
            .collect();
        let answered: Vec<_> = records
            .iter()
            .map(|record| Some(record.id.as_str()))
            .collect();
        assert_eq!(ids, answered);
    }
}

static ACCOUNT: LazyLock<Arc<Account>> = LazyLock::new(|| {
    let key = |algorithm, key: &str| PublicKey {
        algorithm,
        key: key.to_owned(),
    };
    let keys = [
        ("ed-1".to_owned(), key(Algorithm::EdDsa, ED25519)),
        ("es-1".to_owned(), key(Algorithm::Es256, P256)),
    ];
    Arc::new(Account {
        keys: keys.into(),
        ..Account::default()
    })
});

/// A token that is believed is one that the account signed, octet for octet up to its signature.
///
/// # Panics
/// Where that is not so.
pub fn token(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else {
        return;
    };
    if is_believed(text) {
        let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
        assert_eq!(signed(text), signed(SIGNED), "nobody signed this");
    }
}

fn is_believed(token: &str) -> bool {
    let believed = Unverified::read(token).and_then(|read| read.believe(token, &ACCOUNT, now()));
    believed.is_ok_and(|caller| caller.account.as_str() == "acme")
}

/// What SNS signs of a message can be read back in one way only, so no signature is good for another message.
///
/// # Panics
/// Where that is not so.
pub fn sns_message(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else {
        return;
    };
    let Ok(message) = serde_json::from_str::<Message>(text) else {
        return;
    };
    drop(message.published_at(now()));
    if message.check_lines().is_err() {
        return;
    }
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let signed = message.signed_text();
    let read = signed_fields(&signed).unwrap_or_default();
    assert!(read.len() >= 5, "fields are missing: {signed:?}");
    for (name, value) in read {
        let said = json.get(name).and_then(Value::as_str);
        assert_eq!(said, Some(value), "{name}");
    }
}

/// The fields in a signed text, from the last to the first: only the first may have lines of its own.
fn signed_fields(signed: &str) -> Option<Vec<(&str, &str)>> {
    let mut rest = signed.strip_suffix('\n')?;
    let mut fields = Vec::new();
    loop {
        let (before, value) = rest.rsplit_once('\n')?;
        let (before, name) = before.rsplit_once('\n')?;
        fields.push((name, value));
        rest = before;
        if name == "MessageId" {
            fields.push(("Message", rest.strip_prefix("Message\n")?));
            return Some(fields);
        }
    }
}

/// A body is read whole, or refused by a field that it has or lacks; a message that is read holds no header but its own. The first octet
/// says which route it is for.
///
/// # Panics
/// Where that is not so.
pub fn body(octets: &[u8]) {
    let Some((route, body)) = octets.split_first() else {
        return;
    };
    match route % 6 {
        0 => drop(read::<SaveLead>(body, &["address"])),
        1 => drop(read::<StatusesRequest>(body, &["leads"])),
        2 => drop(read::<VerifyRequest>(body, &["address"])),
        3 => drop(read::<SendChecksRequest>(body, &["recipients"])),
        4 => drop(read::<SaveWebhook>(body, &["url"])),
        _ => {
            if let Some(asked) = read::<SendRequest>(body, &["from", "subject"]) {
                message(&asked);
            }
        }
    }
}

fn read<T>(body: &[u8], required: &[&str]) -> Option<T>
where
    T: DeserializeOwned + Serialize + PartialEq + Debug,
{
    let read = |body: &[u8]| {
        let request = Request::new(Body::Binary(body.to_vec()));
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(
            CONTENT_TYPE,
            lambda_http::http::HeaderValue::from_static("application/json"),
        );
        exchange::read_long_json::<T>(&Request::from_parts(parts, body), required, MOST_OCTETS)
    };
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    match read(body) {
        Ok(taken) => {
            let again = serde_json::to_vec(&taken).unwrap_or_default();
            assert_eq!(read(&again).ok().as_ref(), Some(&taken), "as it was taken");
            let backwards = read(backwards(&json).as_bytes());
            assert_eq!(backwards.ok().as_ref(), Some(&taken), "in another order");
            Some(taken)
        }
        Err(refusal) => {
            assert!(refusal.status().is_client_error(), "{refusal:?}");
            let field = refusal.problem().field.as_deref().unwrap_or_default();
            let parent = field.rsplit_once('/').map_or("", |(parent, _)| parent);
            assert!(
                json.pointer(parent).is_some(),
                "{field} is no place in the body"
            );
            None
        }
    }
}

fn message(asked: &SendRequest) {
    let Ok(composed) = sends::compose(asked) else {
        return;
    };
    let destination = composed.destination().cloned();
    let mailboxes = destination.iter().flat_map(|destination| {
        let lines = [
            destination.to_addresses(),
            destination.cc_addresses(),
            destination.bcc_addresses(),
        ];
        lines.map(<[String]>::to_vec).concat()
    });
    let message = composed
        .content()
        .and_then(|content| content.simple())
        .cloned();
    let headers = message
        .iter()
        .flat_map(|message| message.headers().to_vec());
    let subject = message.as_ref().and_then(|message| message.subject());
    let lines: Vec<String> = mailboxes
        .chain(headers.flat_map(|header| [header.name, header.value]))
        .chain(subject.map(|subject| subject.data().to_owned()))
        .chain(composed.reply_to_addresses().to_vec())
        .chain(composed.from_email_address().map(str::to_owned))
        .collect();
    assert!(
        lines.len() >= 3,
        "a sender, a recipient and a subject: {lines:?}"
    );
    for line in lines {
        assert!(
            !line.chars().any(char::is_control),
            "{line:?} is more than a line"
        );
    }
}

/// All strings in `json`, names of members aside.
fn gather<'a>(json: &'a Value, strings: &mut Vec<&'a str>) {
    match json {
        Value::String(string) => strings.push(string),
        Value::Array(items) => items.iter().for_each(|item| gather(item, strings)),
        Value::Object(members) => members.values().for_each(|member| gather(member, strings)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `json` as text, the members of every object from the last to the first.
fn backwards(json: &Value) -> String {
    match json {
        Value::Object(members) => {
            let members = members.iter().rev();
            let members = members.map(|(name, member)| {
                [Value::from(name.as_str()).to_string(), backwards(member)].join(":")
            });
            ["{", &members.collect::<Vec<_>>().join(","), "}"].concat()
        }
        Value::Array(items) => [
            "[",
            &items.iter().map(backwards).collect::<Vec<_>>().join(","),
            "]",
        ]
        .concat(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => json.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    type Promise = fn(&[u8]);

    /// Tries every file of a folder below `tests`; answers how many there are.
    fn every(folder: &str, promise: Promise) -> usize {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        let files = std::fs::read_dir(tests.join(folder)).unwrap();
        files
            .map(|file| promise(&std::fs::read(file.unwrap().path()).unwrap()))
            .count()
    }

    #[test]
    fn every_seed_keeps_the_promises() {
        let promises: [(&str, Promise); 6] = [
            ("address", address),
            ("body", body),
            ("envelope", envelope),
            ("notification", notification),
            ("sns_message", sns_message),
            ("token", token),
        ];
        for (name, promise) in promises {
            let seeds = every(&format!("fuzz/corpus/{name}"), promise);
            assert!(seeds > 1, "{name} has {seeds} seeds");
        }
        assert!(every("fixtures", notification) > 50);
        assert!(every("fixtures", envelope) > 50);
    }

    #[test]
    fn the_signed_token_is_believed_and_no_other() {
        assert!(is_believed(SIGNED));
        let (signed, signature) = SIGNED.rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        assert!(!is_believed(&format!("{header}.{claims}A.{signature}")));
        assert!(!is_believed(signed));
    }
}
