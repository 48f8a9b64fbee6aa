//! Secrets are printed by nothing that holds them: not by `Debug`, and not by the errors about them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use leadlight::api::WebhookReply;
use leadlight_dev::stack::{Stack, StackSettings};
use leadlight_dev::workspace;
use leadlight_functions::app::Leadlight;
use leadlight_functions::config::{Settings, StartError};
use leadlight_functions::table::Consistency;
use leadlight_functions::table::item::Key;
use serde_json::json;

use crate::world::World;

/// The Ed25519 key of RFC 8410 section 10.3, which is for examples only.
const PERMIT_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const ADDRESS_SECRET: &str = "addr3ss-s3cret-that-only-tests-may-know";
const ACCESS_KEY: &str = "acc3ss-key-of-tests";
const SESSION: &str = "s3ssion-token-of-tests";
const LIST_KEY: &str = "l1stk3y";

/// What a function is told, secrets and all.
fn environment() -> BTreeMap<&'static str, String> {
    let lists = json!([{
        "name": "Test DBL", "zone": "{key}.dbl.lists.example", "key": LIST_KEY, "kind": "domain",
        "listed": ["127.0.1.2"],
    }]);
    BTreeMap::from([
        ("LEADLIGHT_TABLE", "leadlight".to_owned()),
        ("LEADLIGHT_ADDRESS_SECRET", ADDRESS_SECRET.to_owned()),
        ("LEADLIGHT_PERMIT_KEY", PERMIT_KEY.to_owned()),
        ("LEADLIGHT_BLOCKLISTS", lists.to_string()),
        ("LEADLIGHT_DNS", "127.0.0.1:53".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIATESTS".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("AWS_SESSION_TOKEN", SESSION.to_owned()),
    ])
}

#[track_caller]
fn check_hides(what: &str, printed: &str, secrets: &[&str]) {
    assert!(!printed.is_empty(), "{what}");
    for secret in secrets {
        assert!(
            !printed.contains(secret),
            "{what} shows {secret}: {printed}"
        );
    }
}

#[test]
fn what_a_function_is_told_in_confidence_it_does_not_print() {
    let told = environment();
    let settings = Settings::read(|name| told.get(name).cloned()).unwrap();
    let app = Leadlight::new(&settings).unwrap();
    let key = PERMIT_KEY.lines().nth(1).unwrap();
    let secrets = [ADDRESS_SECRET, ACCESS_KEY, SESSION, LIST_KEY, key];
    for (what, printed) in [
        ("the settings", format!("{settings:?}")),
        (
            "the secret of address keys",
            format!("{:?}", settings.address_secret),
        ),
        ("the credentials", format!("{:?}", settings.credentials)),
        ("the key for permits", format!("{:?}", settings.permit_key)),
        ("the blocklists", format!("{:?}", settings.blocklists)),
        ("the app", format!("{app:?}")),
        ("the app at length", format!("{app:#?}")),
    ] {
        check_hides(what, &printed, &secrets);
    }
}

#[test]
fn an_error_about_a_secret_does_not_quote_it() {
    let wrong = [
        ("LEADLIGHT_ADDRESS_SECRET", "hunter2"),
        ("LEADLIGHT_PERMIT_KEY", "hunter2"),
        (
            "LEADLIGHT_PERMIT_KEY",
            "-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----\n",
        ),
        ("LEADLIGHT_BLOCKLISTS", "hunter2"),
        ("LEADLIGHT_BLOCKLISTS", r#"[{"hunter2": "hunter2"#),
        (
            "LEADLIGHT_BLOCKLISTS",
            r#"[{"name": "L", "key": ["hunter2"]}]"#,
        ),
        (
            "LEADLIGHT_BLOCKLISTS",
            r#"[{"name": "L", "zone": "{key}.x.example", "key": "hunter2.", "kind": "domain", "listed": ["127.0.1.2"]}]"#,
        ),
    ];
    for (variable, value) in wrong {
        let mut told = environment();
        told.insert(variable, value.to_owned());
        let error = Settings::read(|name| told.get(name).cloned())
            .map_err(StartError::from)
            .and_then(|settings| Leadlight::new(&settings))
            .unwrap_err();
        let mut chain = vec![format!("{error:?}")];
        let mut cause: Option<&dyn Error> = Some(&error);
        while let Some(link) = cause {
            chain.push(link.to_string());
            cause = link.source();
        }
        let chain = chain.join(": ");
        assert!(chain.contains(variable), "{chain}");
        check_hides(variable, &chain, &["hunter2"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_a_webhook_is_shown_once_and_printed_never() {
    let world = World::embedded().await;
    let body = json!({ "url": "http://127.0.0.1:9/hook" });
    let reply = world.call("PUT", "/v1/webhook", body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let reply: WebhookReply = reply.read();
    let secret = reply.secret.clone().unwrap();
    check_hides("the reply", &format!("{reply:?}"), &[&secret]);
    let key = Key::webhook(&world.acme.account);
    let stored = world.table().load(&key, Consistency::Strong).await;
    let stored = stored.unwrap().unwrap().item;
    check_hides("the item", &format!("{stored:?}"), &[&secret]);
    let kept = serde_json::to_value(&stored).unwrap();
    assert_eq!(
        kept["secrets"][0]["secret"],
        json!(secret),
        "it signs with it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_stack_prints_no_key_and_no_token() {
    let stack = Stack::start(StackSettings::default()).await.unwrap();
    let token = stack.account.server_token(Timestamp::now()).unwrap();
    check_hides("the token", &format!("{token:?}"), &[&token.token]);
    // The scalar of a private key, however it would be printed, is not there if nothing of 30 octets in a row is.
    let printed = format!("{stack:?} {:?}", stack.account);
    check_hides(
        "the stack",
        &printed,
        &["whsec_", "PRIVATE", "a-local-secret", "opens-nothing"],
    );
    assert!(printed.contains("SecretKey"), "{printed}");
    let shown = format!("{:?}", stack.account);
    assert!(shown.len() < 200, "more than its name and kind: {shown}");
}

/// What the name of a field or of a type says of a secret.
const WORDS: [&str; 8] = [
    "secret",
    "token",
    "password",
    "private",
    "pem",
    "signature",
    "authorization",
    "key",
];
/// Types that print what they hold.
const OPEN: [&str; 5] = ["String", "str", "Vec<u8>", "[u8", "HeaderValue"];
/// What is called so and is no secret.
const PUBLIC: [(&str, &str); 9] = [
    ("Account.keys", "public keys"),
    ("PublicKey.key", "a public key"),
    ("Whose.token", "the hash of a token"),
    (
        "Message.signature",
        "what SNS signed, and anybody may verify",
    ),
    (
        "Message.token",
        "good for one subscription, which we confirm",
    ),
    (
        "Call.key",
        "an Idempotency-Key that a load of requests makes up",
    ),
    ("Everything.tokens", "the same, of the stand-in for SNS"),
    (
        "AddressKey",
        "the hash that stands for an address in keys and logs",
    ),
    ("KeyElement.key_type", "HASH or RANGE"),
];

#[test]
fn whatever_holds_a_secret_in_the_open_derives_no_debug() {
    let mut seen = 0;
    let mut public = Vec::new();
    for folder in [
        "shared/src",
        "functions/src",
        "infra/support/src",
        "infra/dev/src",
    ] {
        for file in sources(&workspace::root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for open in open_secrets(&text) {
                seen += 1;
                if PUBLIC.iter().any(|(name, _)| *name == open.name) {
                    public.push(open.name);
                    continue;
                }
                assert!(
                    !open.prints,
                    "{}: {} prints itself",
                    file.display(),
                    open.name
                );
            }
        }
    }
    assert!(seen > PUBLIC.len(), "the secrets of the API are found");
    for (name, why) in PUBLIC {
        assert!(
            public.iter().any(|found| found == name),
            "{name}, {why}, is gone"
        );
    }
}

#[test]
fn a_secret_in_the_open_is_noticed() {
    let noticed = |text: &str| -> Vec<(String, bool)> {
        let open = open_secrets(text).into_iter();
        open.map(|open| (open.name, open.prints)).collect()
    };
    let debug = "#[derive(Clone, Debug)]\npub struct Door {\n    /// Said.\n    pub(crate) pass_token: Option<String>,\n}\n";
    assert_eq!(noticed(debug), [("Door.pass_token".to_owned(), true)]);
    assert_eq!(
        noticed(&debug.replace(", Debug", "")),
        [("Door.pass_token".to_owned(), false)]
    );
    assert_eq!(
        noticed(&debug.replace("Option<String>", "SecretString")),
        []
    );
    let split = debug.replace("(Clone, Debug)", "(\n    Clone,\n    Debug,\n)");
    assert_eq!(noticed(&split), [("Door.pass_token".to_owned(), true)]);
    let tuple = "#[derive(Debug)]\nstruct HmacKey(Vec<u8>);\n";
    assert_eq!(noticed(tuple), [("HmacKey".to_owned(), true)]);
    assert_eq!(noticed("struct Lead {\n    address: String,\n}\n"), []);
}

/// A place where a secret lies in a type that prints it.
struct Open {
    name: String,
    /// Whether what it lies in derives `Debug`.
    prints: bool,
}

fn open_secrets(text: &str) -> Vec<Open> {
    let mut found = Vec::new();
    let mut attributes = String::new();
    let mut within: Option<(String, bool)> = None;
    for line in text.lines().map(str::trim) {
        if let Some((name, prints)) = &within {
            if line == "}" {
                within = None;
            } else if let Some((field, kind)) = line.split_once(": ")
                && !line.starts_with("//")
            {
                let field = field.rsplit(' ').next().unwrap_or(field);
                if is_secret(field) && is_open(kind) {
                    let (name, prints) = (format!("{name}.{field}"), *prints);
                    found.push(Open { name, prints });
                }
            }
            continue;
        }
        let Some((_, rest)) = line.split_once("struct ").filter(|(before, _)| {
            before.is_empty() || (before.starts_with("pub") && before.ends_with(' '))
        }) else {
            attributes.push_str(line);
            if line.ends_with([';', '}']) || line.is_empty() {
                attributes.clear();
            }
            continue;
        };
        let derives = attributes.split("derive(").skip(1);
        let prints = derives
            .filter_map(|derive| derive.split(')').next())
            .any(|derive| derive.split(',').any(|name| name.trim() == "Debug"));
        attributes.clear();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
        if rest.ends_with('{') {
            within = Some((name, prints));
        } else if let Some((_, kind)) = rest.split_once('(')
            && is_secret(&name)
            && is_open(kind)
        {
            found.push(Open { name, prints });
        }
    }
    found
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

fn is_open(kind: &str) -> bool {
    let words = |kind: &str, open: &str| {
        kind.match_indices(open).any(|(at, _)| {
            !kind[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
        })
    };
    OPEN.iter().any(|open| words(kind, open))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
