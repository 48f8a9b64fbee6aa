//! Every wrong token, one by one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use leadlight::account::AccountId;
use leadlight::policy::Policy;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use ring::hmac;
use serde_json::{Value, json};

use super::{EVERY_SCOPE, KEY_ID, Rig};
use crate::table::item::{Account, Algorithm, PublicKey};

/// The key pair of RFC 8410 section 10.
const ED_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const ED_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
const ED_JWK: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"}"#;

struct Token {
    header: Header,
    claims: Value,
}

impl Rig {
    fn good(&self) -> Token {
        let header = Header {
            kid: Some(KEY_ID.to_owned()),
            ..Header::new(jsonwebtoken::Algorithm::ES256)
        };
        let now = self.now.as_second();
        Token {
            header,
            claims: json!({ "iss": "acme", "aud": "leadlight", "sub": "user-1", "scope": EVERY_SCOPE,
                "iat": now, "exp": now + 3_600 }),
        }
    }

    async fn ask_with(&self, authorization: Option<&str>) -> (u16, Value) {
        let mut request = self.request("GET", "/v1/leads/7", None);
        request.headers_mut().remove("authorization");
        if let Some(authorization) = authorization {
            request
                .headers_mut()
                .insert("authorization", authorization.parse().unwrap());
        }
        let response = crate::leads::handle_at(&self.app.checks, request, self.now).await;
        let status = response.status().as_u16();
        if status == 401 {
            assert!(response.headers().contains_key("www-authenticate"));
        }
        (
            status,
            serde_json::from_slice(response.body().as_ref()).unwrap(),
        )
    }

    async fn code_for(&self, token: &Token, key: &EncodingKey) -> String {
        let token = jsonwebtoken::encode(&token.header, &token.claims, key).unwrap();
        self.code_for_text(&token).await
    }

    async fn code_for_text(&self, token: &str) -> String {
        let (status, reply) = self.ask_with(Some(&format!("Bearer {token}"))).await;
        match status {
            200 => "200".to_owned(),
            status => format!("{status} {}", reply["code"].as_str().unwrap_or_default()),
        }
    }
}

/// What a row does to a good token.
type Change = Box<dyn Fn(&mut Token)>;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a row for each fault")]
async fn every_wrong_token_is_refused_for_its_own_reason() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    let now = rig.now.as_second();
    let claim = |name: &'static str, value: Value| -> Change {
        Box::new(move |token| token.claims[name] = value.clone())
    };
    let without = |name: &'static str| -> Change {
        Box::new(move |token| {
            token.claims.as_object_mut().unwrap().remove(name);
        })
    };
    let header =
        |change: fn(&mut Header)| -> Change { Box::new(move |token| change(&mut token.header)) };
    let life = |seconds: i64, scope: &'static str| -> Change {
        Box::new(move |token| {
            token.claims["scope"] = json!(scope);
            token.claims["exp"] = json!(now + seconds);
        })
    };
    let until = |seconds: i64| -> Change {
        Box::new(move |token| {
            token.claims["iat"] = json!(now - 300);
            token.claims["exp"] = json!(now + seconds);
        })
    };
    let rows: Vec<(&str, Change, &str)> = vec![
        ("good", claim("sub", json!("someone")), "200"),
        (
            "several audiences",
            claim("aud", json!(["other", "leadlight"])),
            "200",
        ),
        (
            "without typ",
            header(|header| header.typ = None),
            "401 wrong_type",
        ),
        (
            "another typ",
            header(|header| header.typ = Some("at+jwt".to_owned())),
            "401 wrong_type",
        ),
        (
            "critical extension",
            header(|header| header.crit = Some(vec!["exp".to_owned()])),
            "401 unknown_extension",
        ),
        (
            "without kid",
            header(|header| header.kid = None),
            "401 malformed",
        ),
        (
            "unknown kid",
            header(|header| header.kid = Some("key-2".to_owned())),
            "401 unknown_key",
        ),
        (
            "unknown account",
            claim("iss", json!("nobody")),
            "401 unknown_key",
        ),
        (
            "no account id",
            claim("iss", json!("acme#lead")),
            "401 malformed",
        ),
        ("without iss", without("iss"), "401 malformed"),
        ("without aud", without("aud"), "401 malformed"),
        (
            "several audiences without ours",
            claim("aud", json!(["other", "third"])),
            "401 wrong_audience",
        ),
        (
            "another aud",
            claim("aud", json!("other")),
            "401 wrong_audience",
        ),
        ("without exp", without("exp"), "401 malformed"),
        ("without iat", without("iat"), "401 malformed"),
        (
            "exp as text",
            claim("exp", json!("tomorrow")),
            "401 malformed",
        ),
        (
            "exp beyond time",
            claim("exp", json!(1e300)),
            "401 malformed",
        ),
        ("expired", until(-61), "401 expired"),
        ("expired within the leeway", until(-59), "200"),
        (
            "expired before it was issued",
            claim("exp", json!(now - 1)),
            "401 expired",
        ),
        (
            "not yet valid",
            claim("nbf", json!(now + 120)),
            "401 not_yet_valid",
        ),
        (
            "valid within the leeway",
            claim("nbf", json!(now + 30)),
            "200",
        ),
        (
            "issued in the future",
            claim("iat", json!(now + 120)),
            "401 issued_in_future",
        ),
        (
            "lives an hour and a second",
            claim("exp", json!(now + 3_601)),
            "401 lives_too_long",
        ),
        (
            "a widget's for an hour",
            life(3_600, "statuses rechecks leads:read"),
            "401 lives_too_long",
        ),
        (
            "a widget's with an unknown word",
            life(3_600, "leads:read everything"),
            "401 lives_too_long",
        ),
        ("a widget's for a quarter", life(900, "leads:read"), "200"),
        (
            "restricted for an hour",
            claim("leads", json!(["7"])),
            "401 lives_too_long",
        ),
        (
            "leads that are none",
            claim("leads", json!(["a b"])),
            "401 malformed",
        ),
        (
            "without the scope",
            life(900, "statuses rechecks leads:write"),
            "403 scope",
        ),
        ("without any scope", without("scope"), "401 lives_too_long"),
    ];
    for (row, change, expected) in rows {
        let mut token = rig.good();
        change(&mut token);
        assert_eq!(rig.code_for(&token, &rig.key).await, expected, "{row}");
    }

    let mut restricted = rig.good();
    restricted.claims["exp"] = json!(now + 600);
    restricted.claims["leads"] = json!(["7"]);
    assert_eq!(rig.code_for(&restricted, &rig.key).await, "200");
    restricted.claims["leads"] = json!(["8"]);
    assert_eq!(rig.code_for(&restricted, &rig.key).await, "403 lead");
    restricted.claims["leads"] = json!([]);
    assert_eq!(rig.code_for(&restricted, &rig.key).await, "403 lead");

    let stranger = SecretKey::generate_from_rng(&mut rand::rng())
        .to_pkcs8_pem(LineEnding::LF)
        .unwrap();
    let stranger = EncodingKey::from_ec_pem(stranger.as_bytes()).unwrap();
    assert_eq!(
        rig.code_for(&rig.good(), &stranger).await,
        "401 wrong_signature"
    );
    let mut symmetric = rig.good();
    symmetric.header.alg = jsonwebtoken::Algorithm::HS256;
    let parts = [json!(symmetric.header), symmetric.claims];
    let signed = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = signed.join(".");
    let secret = hmac::Key::new(hmac::HMAC_SHA256, ED_PUBLIC.as_bytes());
    let tag = hmac::sign(&secret, signed.as_bytes());
    let symmetric = [signed, URL_SAFE_NO_PAD.encode(tag)].join(".");
    assert_eq!(rig.code_for_text(&symmetric).await, "401 wrong_algorithm");
    let mut edwards = rig.good();
    edwards.header.alg = jsonwebtoken::Algorithm::EdDSA;
    let edwards_key = EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap();
    assert_eq!(
        rig.code_for(&edwards, &edwards_key).await,
        "401 wrong_algorithm"
    );
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let rig = Rig::start().await;
    let token = rig.token(EVERY_SCOPE);
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoia2V5LTEifQ";
    let rows = [
        (None, "missing"),
        (Some(token.clone()), "not_bearer"),
        (Some("Bearer ".to_owned()), "not_bearer"),
        (Some(format!("Basic {token}")), "not_bearer"),
        (Some(format!("Bearer {}", "a".repeat(40_000))), "not_bearer"),
        (Some("Bearer a.b.c".to_owned()), "malformed"),
        (Some("Bearer abc".to_owned()), "malformed"),
        (Some(format!("Bearer {none}.{claims}.")), "malformed"),
        (Some(format!("Bearer {head}.{claims}.")), "wrong_signature"),
        (
            Some(format!("Bearer {head}.{claims}.{}", "A".repeat(86))),
            "wrong_signature",
        ),
    ];
    for (authorization, expected) in rows {
        let (status, problem) = rig.ask_with(authorization.as_deref()).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (401, Some(expected)),
            "{authorization:?}"
        );
        assert_eq!(
            problem["type"],
            "https://leadlight.dev/problems/unauthorized"
        );
    }
    let mut twice = rig.request("GET", "/v1/leads/7", None);
    twice
        .headers_mut()
        .append("authorization", format!("Bearer {token}").parse().unwrap());
    assert_eq!(rig.answer(twice).await.0, 401);
}

#[tokio::test]
async fn another_accounts_lead_does_not_exist() {
    let rig = Rig::start().await;
    rig.save("7", "ada@harbour.example").await;
    let other = AccountId::parse("other").unwrap();
    let public = |key: &str| PublicKey {
        algorithm: Algorithm::EdDsa,
        key: key.to_owned(),
    };
    let keys = BTreeMap::from([
        ("pem".to_owned(), public(ED_PUBLIC)),
        ("jwk".to_owned(), public(ED_JWK)),
    ]);
    rig.app
        .table
        .save_account(
            &other,
            &Account {
                policy: Policy::default(),
                keys,
                origins: None,
                ses_tenant: None,
            },
        )
        .await
        .unwrap();
    let key = EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap();
    for kid in ["pem", "jwk"] {
        let mut token = rig.good();
        token.header.alg = jsonwebtoken::Algorithm::EdDSA;
        token.header.kid = Some(kid.to_owned());
        token.claims["iss"] = json!("other");
        assert_eq!(rig.code_for(&token, &key).await, "404 ", "{kid}");
    }
}

#[test]
fn a_key_has_to_fit_its_algorithm() {
    let key = |algorithm, key: &str| PublicKey {
        algorithm,
        key: key.to_owned(),
    };
    assert!(key(Algorithm::EdDsa, ED_PUBLIC).is_usable());
    assert!(key(Algorithm::EdDsa, ED_JWK).is_usable());
    assert!(!key(Algorithm::Es256, ED_PUBLIC).is_usable());
    assert!(!key(Algorithm::Es256, ED_JWK).is_usable());
    assert!(!key(Algorithm::Es256, ED_PRIVATE).is_usable());
    assert!(!key(Algorithm::EdDsa, r#"{"kty":"oct","k":"c2VjcmV0"}"#).is_usable());
    assert!(
        !key(
            Algorithm::Es256,
            r#"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#
        )
        .is_usable()
    );
    assert!(!key(Algorithm::EdDsa, "").is_usable());
    // Of the right kind, and too short.
    let short = r#"{"kty":"OKP","crv":"Ed25519","x":"c2hvcnQ"}"#;
    assert!(!key(Algorithm::EdDsa, short).is_usable());
    let short = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    assert!(!key(Algorithm::Es256, short).is_usable());
}
