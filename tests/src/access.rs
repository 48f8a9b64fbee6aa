//! Who may ask: every wrong token gets its refusal, at every door; the right ones get in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use lambda_http::Body;
use lambda_http::http::header::WWW_AUTHENTICATE;
use serde_json::{Value, json};

use crate::tokens::{SERVER_SCOPE, Token, WIDGET_SCOPE};
use crate::world::{ANN, Reply, World, answer, on_both_engines, request};

on_both_engines!(
    a_wrong_token_is_refused_at_every_door,
    a_forged_token_is_refused_at_every_door,
    of_two_authorizations_none_counts,
    a_right_token_opens_only_what_it_names,
    right_tokens_get_in,
    another_accounts_lead_does_not_exist,
    a_refused_request_reads_and_writes_nothing_of_the_account,
);

/// Every route, with a body that it takes.
const DOORS: [(&str, &str, &str); 12] = [
    ("PUT", "/v1/leads/ann", r#"{"address":"ann@lead.example"}"#),
    ("GET", "/v1/leads/ann", ""),
    ("GET", "/v1/leads/ann/log", ""),
    ("POST", "/v1/statuses", r#"{"leads":["ann"]}"#),
    ("POST", "/v1/leads/ann/rechecks", ""),
    (
        "POST",
        "/v1/send-checks",
        r#"{"recipients":[{"address":"ann@lead.example","lead_id":"ann"}]}"#,
    ),
    (
        "POST",
        "/v1/sends",
        r#"{"from":{"address":"crm@mail.acme.example"},"to":[{"address":"ann@lead.example","lead_id":"ann"}],
            "subject":"Hello","text":"Hello"}"#,
    ),
    (
        "POST",
        "/v1/verifications",
        r#"{"address":"ann@lead.example"}"#,
    ),
    ("GET", "/v1/webhook", ""),
    (
        "PUT",
        "/v1/webhook",
        r#"{"url":"https://crm.example/hook"}"#,
    ),
    ("DELETE", "/v1/webhook", ""),
    ("GET", "/v1/reputation", ""),
];

async fn knock(
    world: &World,
    (method, path, body): (&str, &str, &str),
    authorization: Option<&str>,
    now: Timestamp,
) -> Reply {
    let request = request(method, path, authorization, Body::from(body.to_owned()));
    answer(&world.app, request, now).await
}

async fn a_wrong_token_is_refused_at_every_door(world: World) {
    let now = Timestamp::now();
    let s = now.as_second();
    let good = || world.acme.token(SERVER_SCOPE, now);
    let bearer = |token: Token| Some(token.bearer());
    let text = good().sign();
    let (header_and_claims, signature) = text.rsplit_once('.').unwrap();
    let (header, _) = text.split_once('.').unwrap();
    let der = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01];
    let key = world.acme.public_pem();
    let other_claims = URL_SAFE_NO_PAD.encode(good().claim("sub", "admin").claims.to_string());
    let flipped = {
        let mut octets = URL_SAFE_NO_PAD.decode(signature).unwrap();
        octets[9] ^= 1;
        octets
    };
    let wrong: Vec<(&str, Option<String>, &str)> = vec![
        ("no header", None, "missing"),
        ("an empty header", Some(String::new()), "not_bearer"),
        ("the scheme alone", Some("Bearer".to_owned()), "not_bearer"),
        (
            "the scheme and a blank",
            Some("Bearer ".to_owned()),
            "not_bearer",
        ),
        (
            "the token without the scheme",
            Some(text.clone()),
            "not_bearer",
        ),
        (
            "Basic auth",
            Some("Basic YWNtZTpzZWNyZXQ=".to_owned()),
            "not_bearer",
        ),
        (
            "two tokens",
            Some(format!("Bearer {text},{text}")),
            "malformed",
        ),
        (
            "not a JWT",
            Some("Bearer let-me-in".to_owned()),
            "malformed",
        ),
        (
            "two parts",
            Some(format!("Bearer {header_and_claims}")),
            "malformed",
        ),
        (
            "four parts",
            Some(format!("Bearer {text}.{signature}")),
            "malformed",
        ),
        (
            "a header that is no JSON",
            Some(format!("Bearer e30x.{signature}.{signature}")),
            "malformed",
        ),
        (
            "alg none, unsigned",
            bearer(good().header("alg", "none").signature(&[])),
            "malformed",
        ),
        (
            "alg None, signed",
            bearer(good().header("alg", "None")),
            "malformed",
        ),
        ("no alg", bearer(good().without_header("alg")), "malformed"),
        (
            "HS256 under the public key",
            bearer(good().by_hmac(&key)),
            "wrong_algorithm",
        ),
        (
            "HS256 under an empty secret",
            bearer(good().by_hmac("")),
            "wrong_algorithm",
        ),
        (
            "RS256",
            bearer(good().header("alg", "RS256")),
            "wrong_algorithm",
        ),
        (
            "ES384",
            bearer(good().header("alg", "ES384")),
            "wrong_algorithm",
        ),
        (
            "an EdDSA token under the ES256 key",
            bearer(good().by_eddsa().header("kid", "es-1")),
            "wrong_algorithm",
        ),
        (
            "an ES256 token under the EdDSA key",
            bearer(good().header("kid", "ed-1")),
            "wrong_algorithm",
        ),
        (
            "unknown kid",
            bearer(good().header("kid", "es-9")),
            "unknown_key",
        ),
        (
            "a kid that is a path",
            bearer(good().header("kid", "../account")),
            "unknown_key",
        ),
        ("no kid", bearer(good().without_header("kid")), "malformed"),
        (
            "a kid that is a number",
            bearer(good().header("kid", 1)),
            "malformed",
        ),
        (
            "another account's key",
            bearer(good().signed_like(world.globex.token("", now))),
            "wrong_signature",
        ),
        (
            "a key in the header",
            bearer(with_own_key(&world, now)),
            "wrong_signature",
        ),
        (
            "crit",
            bearer(good().header("crit", json!(["b64"])).header("b64", false)),
            "unknown_extension",
        ),
        (
            "typ of something else",
            bearer(good().header("typ", "at+jwt")),
            "wrong_type",
        ),
        ("no typ", bearer(good().without_header("typ")), "wrong_type"),
        (
            "iss of another account",
            bearer(good().claim("iss", "globex")),
            "wrong_signature",
        ),
        (
            "iss of nobody",
            bearer(good().claim("iss", "initech")),
            "unknown_key",
        ),
        (
            "iss that breaks out of a key",
            bearer(good().claim("iss", "acme#lead#ann")),
            "malformed",
        ),
        ("no iss", bearer(good().without_claim("iss")), "malformed"),
        (
            "aud of another service",
            bearer(good().claim("aud", "billing")),
            "wrong_audience",
        ),
        (
            "aud as a longer word",
            bearer(good().claim("aud", "leadlight-staging")),
            "wrong_audience",
        ),
        (
            "an empty list of aud",
            bearer(good().claim("aud", json!([]))),
            "wrong_audience",
        ),
        ("no aud", bearer(good().without_claim("aud")), "malformed"),
        (
            "expired",
            bearer(good().claim("iat", s - 700).claim("exp", s - 61)),
            "expired",
        ),
        (
            "expired long ago",
            bearer(good().claim("iat", 0).claim("exp", 600)),
            "expired",
        ),
        (
            "negative times",
            bearer(good().claim("iat", -700).claim("exp", -100)),
            "expired",
        ),
        ("no exp", bearer(good().without_claim("exp")), "malformed"),
        (
            "exp as text",
            bearer(good().claim("exp", (s + 60).to_string())),
            "malformed",
        ),
        (
            "exp beyond time",
            bearer(good().claim("exp", 1e300)),
            "malformed",
        ),
        ("no iat", bearer(good().without_claim("iat")), "malformed"),
        (
            "not valid yet",
            bearer(good().claim("nbf", s + 120)),
            "not_yet_valid",
        ),
        (
            "issued in the future",
            bearer(good().claim("iat", s + 120)),
            "issued_in_future",
        ),
        (
            "an hour and a second",
            bearer(good().claim("exp", s + 3_601)),
            "lives_too_long",
        ),
        (
            "a widget's for 15 minutes and a second",
            bearer(world.acme.token(WIDGET_SCOPE, now).claim("exp", s + 901)),
            "lives_too_long",
        ),
        (
            "a lead's for 15 minutes and a second",
            bearer(good().claim("leads", json!(["ann"])).claim("exp", s + 901)),
            "lives_too_long",
        ),
        (
            "without scopes for 15 minutes and a second",
            bearer(good().claim("scope", "").claim("exp", s + 901)),
            "lives_too_long",
        ),
        (
            "leads that are no list",
            bearer(good().claim("leads", "ann")),
            "malformed",
        ),
        (
            "scope that is no text",
            bearer(good().claim("scope", json!(["statuses"]))),
            "malformed",
        ),
        (
            "one bit of the signature flipped",
            bearer(good().signature(&flipped)),
            "wrong_signature",
        ),
        (
            "a signature of zeros",
            bearer(good().signature(&[0; 64])),
            "wrong_signature",
        ),
        (
            "no signature",
            bearer(good().signature(&[])),
            "wrong_signature",
        ),
        (
            "half a signature",
            bearer(good().signature(&flipped[..32])),
            "wrong_signature",
        ),
        (
            "a signature in DER",
            bearer(good().signature(&der)),
            "wrong_signature",
        ),
        (
            "claims changed after signing",
            Some(format!("Bearer {header}.{other_claims}.{signature}")),
            "wrong_signature",
        ),
        (
            "a token of 40,000 characters",
            bearer(good().claim("sub", "x".repeat(30_000))),
            "not_bearer",
        ),
    ];
    for (why, authorization, code) in &wrong {
        for door in DOORS {
            let reply = knock(&world, door, authorization.as_deref(), now).await;
            check_unauthorized(why, door, &reply, code);
        }
    }
}

/// What forgers make of a token, and what libraries have been known to believe.
async fn a_forged_token_is_refused_at_every_door(world: World) {
    let now = Timestamp::now();
    let s = now.as_second();
    let good = || world.acme.token(SERVER_SCOPE, now);
    let text = good().sign();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let (header, claims) = (good().header.to_string(), good().claims.to_string());
    let bearer = |token: Token| format!("Bearer {}", token.sign());
    // A claim, or a part of the header, that JSON says twice.
    let twice =
        |object: &str, also: &str| format!("{{{also},{}", object.strip_prefix('{').unwrap());
    let of_claims = |claims: &str| format!("Bearer {}", good().sign_texts(&header, claims));
    let of_header = |header: &str| format!("Bearer {}", good().sign_texts(header, &claims));
    let by_stranger = |name: &str, value: Value| {
        bearer(
            good()
                .header(name, value)
                .signed_like(world.globex.token("", now)),
        )
    };
    let (r, half) = {
        let octets = URL_SAFE_NO_PAD.decode(signature).unwrap();
        (octets[..32].to_vec(), octets[32..].to_vec())
    };
    let order = HEXLOWER.decode(P256_ORDER).unwrap();
    let pair = |r: &[u8], s: &[u8]| bearer(good().signature(&[r, s].concat()));
    let ed = good().by_eddsa();
    let ed_signature = URL_SAFE_NO_PAD
        .decode(ed.sign().rsplit_once('.').unwrap().1)
        .unwrap();
    let ed_with = |octets: &[u8]| bearer(ed.clone().signature(octets));
    let forged: Vec<(&str, String, &str)> = vec![
        // Where to find another key.
        (
            "a key by its address",
            by_stranger("jku", json!("https://keys.example/jwks.json")),
            "wrong_signature",
        ),
        (
            "a certificate by its address",
            by_stranger("x5u", json!("https://keys.example/chain.pem")),
            "wrong_signature",
        ),
        (
            "a certificate",
            by_stranger("x5c", json!(["MIIB"])),
            "wrong_signature",
        ),
        (
            "a thumbprint",
            by_stranger("x5t", json!("c2hhMQ")),
            "wrong_signature",
        ),
        (
            "an address that is no text",
            by_stranger("jku", json!(["https://keys.example"])),
            "malformed",
        ),
        (
            "a kid with quotes",
            bearer(good().header("kid", "es-1' OR '1'='1")),
            "unknown_key",
        ),
        (
            "a kid with a NUL",
            bearer(good().header("kid", "es-1\0")),
            "unknown_key",
        ),
        (
            "a kid that is a file",
            bearer(good().header("kid", "/dev/null").by_hmac("")),
            "unknown_key",
        ),
        (
            "an empty kid",
            bearer(good().header("kid", "")),
            "unknown_key",
        ),
        (
            "a kid in other letter case",
            bearer(good().header("kid", "ES-1")),
            "unknown_key",
        ),
        (
            "a list of kids",
            bearer(good().header("kid", json!(["es-1"]))),
            "malformed",
        ),
        // Which algorithm.
        (
            "alg in lower case",
            bearer(good().header("alg", "es256")),
            "malformed",
        ),
        (
            "alg with a blank",
            bearer(good().header("alg", "ES256 ")),
            "malformed",
        ),
        (
            "alg NONE",
            bearer(good().header("alg", "NONE").signature(&[])),
            "malformed",
        ),
        (
            "a list of algs",
            bearer(good().header("alg", json!(["ES256"]))),
            "malformed",
        ),
        (
            "alg null",
            bearer(good().header("alg", Value::Null)),
            "malformed",
        ),
        (
            "alg of a key agreement",
            bearer(good().header("alg", "ECDH-ES")),
            "malformed",
        ),
        (
            "ES256 over another curve",
            bearer(good().header("alg", "ES256K")),
            "malformed",
        ),
        (
            "PS256",
            bearer(good().header("alg", "PS256")),
            "wrong_algorithm",
        ),
        (
            "alg twice, none first",
            of_header(&twice(&header, r#""alg":"none""#)),
            "malformed",
        ),
        (
            "kid twice",
            of_header(&twice(&header, r#""kid":"ed-1""#)),
            "malformed",
        ),
        // Extensions.
        (
            "an empty crit",
            bearer(good().header("crit", json!([]))),
            "unknown_extension",
        ),
        (
            "crit of a claim",
            bearer(good().header("crit", json!(["exp"]))),
            "unknown_extension",
        ),
        (
            "crit that is no list",
            bearer(good().header("crit", "exp")),
            "malformed",
        ),
        (
            "a permit's typ",
            bearer(good().header("typ", "permit+jwt")),
            "wrong_type",
        ),
        (
            "typ JWS",
            bearer(good().header("typ", "JOSE")),
            "wrong_type",
        ),
        // Claims.
        (
            "exp twice",
            of_claims(&twice(&claims, &format!(r#""exp":{}"#, s + 60))),
            "malformed",
        ),
        (
            "iss twice",
            of_claims(&twice(&claims, r#""iss":"globex""#)),
            "malformed",
        ),
        (
            "aud twice",
            of_claims(&twice(&claims, r#""aud":"billing""#)),
            "malformed",
        ),
        (
            "scope twice",
            of_claims(&twice(&claims, r#""scope":"statuses""#)),
            "malformed",
        ),
        (
            "leads twice",
            of_claims(&twice(&claims, r#""leads":["ann"],"leads":["bob"]"#)),
            "malformed",
        ),
        ("claims that are a token", of_claims(&text), "malformed"),
        (
            "claims that are a text",
            of_claims(r#""acme""#),
            "malformed",
        ),
        (
            "claims that are a list",
            of_claims(&format!("[{claims}]")),
            "malformed",
        ),
        ("no claims", of_claims(""), "malformed"),
        (
            "claims and more",
            of_claims(&format!("{claims}{claims}")),
            "malformed",
        ),
        (
            "claims under a byte order mark",
            of_claims(&format!("\u{feff}{claims}")),
            "malformed",
        ),
        (
            "iss in capitals",
            bearer(good().claim("iss", "ACME")),
            "unknown_key",
        ),
        (
            "a list of iss",
            bearer(good().claim("iss", json!(["acme"]))),
            "malformed",
        ),
        (
            "aud in capitals",
            bearer(good().claim("aud", "Leadlight")),
            "wrong_audience",
        ),
        (
            "aud with a blank",
            bearer(good().claim("aud", "leadlight ")),
            "wrong_audience",
        ),
        (
            "several aud in a text",
            bearer(good().claim("aud", "billing leadlight")),
            "wrong_audience",
        ),
        (
            "aud in a list in a list",
            bearer(good().claim("aud", json!([["leadlight"]]))),
            "malformed",
        ),
        (
            "aud null",
            bearer(good().claim("aud", Value::Null)),
            "malformed",
        ),
        (
            "exp null",
            bearer(good().claim("exp", Value::Null)),
            "malformed",
        ),
        ("exp true", bearer(good().claim("exp", true)), "malformed"),
        (
            "exp in a list",
            bearer(good().claim("exp", json!([s + 60]))),
            "malformed",
        ),
        (
            "exp of 64 bits",
            bearer(good().claim("exp", u64::MAX)),
            "malformed",
        ),
        (
            "exp in milliseconds",
            bearer(good().claim("exp", (s + 60) * 1_000)),
            "malformed",
        ),
        (
            "exp below any time",
            bearer(good().claim("exp", -1e300)),
            "malformed",
        ),
        (
            "exp beyond any number",
            of_claims(&claims.replace(&format!("\"exp\":{}", s + 600), "\"exp\":1e999")),
            "malformed",
        ),
        (
            "iat as text",
            bearer(good().claim("iat", s.to_string())),
            "malformed",
        ),
        (
            "nbf as text",
            bearer(good().claim("nbf", "now")),
            "malformed",
        ),
        (
            "expired before it was issued",
            bearer(good().claim("iat", s + 30).claim("exp", s)),
            "expired",
        ),
        (
            "leads that are null",
            bearer(good().claim("leads", Value::Null)),
            "malformed",
        ),
        (
            "a lead that is none",
            bearer(good().claim("leads", json!(["ann", "a#b"]))),
            "malformed",
        ),
        (
            "scope null",
            bearer(good().claim("scope", Value::Null)),
            "malformed",
        ),
        // Signatures: ECDSA of zeros and of the order ("psychic" ones), EdDSA of small order and of another form.
        ("r of zeros", pair(&[0; 32], &half), "wrong_signature"),
        ("s of zeros", pair(&r, &[0; 32]), "wrong_signature"),
        (
            "r and s of the order",
            pair(&order, &order),
            "wrong_signature",
        ),
        (
            "r beyond the order",
            pair(&[0xff; 32], &half),
            "wrong_signature",
        ),
        (
            "s beyond the order",
            pair(&r, &[0xff; 32]),
            "wrong_signature",
        ),
        ("r and s exchanged", pair(&half, &r), "wrong_signature"),
        (
            "a signature and more",
            pair(&r, &[half.as_slice(), &[0]].concat()),
            "wrong_signature",
        ),
        (
            "the neutral element",
            ed_with(&[&[1], [0; 63].as_slice()].concat()),
            "wrong_signature",
        ),
        ("EdDSA of zeros", ed_with(&[0; 64]), "wrong_signature"),
        (
            "s increased by the order",
            ed_with(&with_order_added(&ed_signature)),
            "wrong_signature",
        ),
        (
            "half an EdDSA signature",
            ed_with(&ed_signature[..32]),
            "wrong_signature",
        ),
        (
            "HS256 under the public JWK",
            bearer(
                good()
                    .by_hmac(&world.acme.public_keys()["ed-1"].key)
                    .header("kid", "ed-1"),
            ),
            "wrong_algorithm",
        ),
        // Base64 and JWT of another form.
        (
            "a padded signature",
            format!("Bearer {text}=="),
            "malformed",
        ),
        (
            "another base64 of the same signature",
            format!("Bearer {signed}.{}", uncanonical(signature)),
            "malformed",
        ),
        (
            "base64 that is not of URLs",
            format!("Bearer {signed}.{}", "+/".repeat(43)),
            "malformed",
        ),
        (
            "a tab within",
            format!("Bearer {signed}.\t{signature}"),
            "malformed",
        ),
        (
            "an empty header",
            format!("Bearer .{}", text.split_once('.').unwrap().1),
            "malformed",
        ),
        (
            "five parts, as if encrypted",
            format!("Bearer {text}.e30.e30"),
            "malformed",
        ),
        (
            "a JWS in JSON",
            format!(r#"Bearer {{"payload":"e30","signature":"{signature}"}}"#),
            "malformed",
        ),
        ("dots alone", "Bearer ..".to_owned(), "malformed"),
        // The header of the request.
        ("two blanks", format!("Bearer  {text}"), "malformed"),
        ("a tab", format!("Bearer\t{text}"), "not_bearer"),
        ("a blank behind", format!("Bearer {text} "), "malformed"),
        ("a blank before", format!(" Bearer {text}"), "not_bearer"),
        ("quotes", format!("Bearer \"{text}\""), "malformed"),
        (
            "the scheme twice",
            format!("Bearer Bearer {text}"),
            "malformed",
        ),
        (
            "a list of schemes",
            format!("Basic YTpi, Bearer {text}"),
            "not_bearer",
        ),
        (
            "a list that ends with another",
            format!("Bearer {text}, Basic YTpi"),
            "malformed",
        ),
        ("DPoP", format!("DPoP {text}"), "not_bearer"),
        (
            "as many characters as are read",
            format!("Bearer {}", "a".repeat(32 * 1024)),
            "malformed",
        ),
        (
            "one more",
            format!("Bearer {}", "a".repeat(32 * 1024 + 1)),
            "not_bearer",
        ),
    ];
    let mut codes = Vec::new();
    for (why, authorization, _) in &forged {
        let reply = knock(&world, DOORS[1], Some(authorization), now).await;
        codes.push((
            *why,
            reply.body["code"].as_str().unwrap_or("200").to_owned(),
        ));
    }
    let expected = forged
        .iter()
        .map(|(why, _, code)| (*why, (*code).to_owned()));
    assert_eq!(codes, expected.collect::<Vec<_>>());
    for (why, authorization, code) in &forged {
        for door in DOORS {
            let reply = knock(&world, door, Some(authorization), now).await;
            check_unauthorized(why, door, &reply, code);
        }
    }
}

/// The order of the base point of P-256 (FIPS 186-5, SP 800-186 section 3.2.1.3).
const P256_ORDER: &[u8] = b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// That of Ed25519's (RFC 8032 section 5.1), the lowest octet first.
const ED25519_ORDER: &[u8] = b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// The same `EdDSA` signature for whoever does not ask that its second half is less than the order.
fn with_order_added(signature: &[u8]) -> Vec<u8> {
    let order = HEXLOWER.decode(ED25519_ORDER).unwrap();
    let mut sum = signature[..32].to_vec();
    let mut carry = 0;
    for (octet, more) in signature[32..].iter().zip(order) {
        let both = u16::from(*octet) + u16::from(more) + carry;
        sum.push(both.to_le_bytes()[0]);
        carry = both >> 8;
    }
    sum
}

/// The same octets in base64 whose last character holds bits that nobody reads.
fn uncanonical(signature: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = signature.split_at(signature.len() - 1);
    let next = ALPHABET.find(last).unwrap() + 1;
    [rest, &ALPHABET[next..=next]].concat()
}

async fn of_two_authorizations_none_counts(world: World) {
    let now = Timestamp::now();
    world.save("ann", ANN).await;
    let good = world.acme.token(SERVER_SCOPE, now).bearer();
    let bad = world.globex.token("", now).signature(&[1; 64]).bearer();
    for (first, second) in [(&good, &bad), (&bad, &good), (&good, &good)] {
        for door @ (method, path, body) in DOORS {
            let mut request = request(method, path, Some(first), Body::from(body.to_owned()));
            let value = second.parse().unwrap();
            request.headers_mut().append("authorization", value);
            let reply = answer(&world.app, request, now).await;
            check_unauthorized("two headers", door, &reply, "not_bearer");
        }
    }
    // What is no header is not looked for elsewhere.
    let (_, token) = good.split_once(' ').unwrap();
    let path = format!("/v1/leads/ann?access_token={token}");
    let mut elsewhere = request("GET", &path, None, Body::Empty);
    let cookie = format!("authorization={token}; access_token={token}");
    elsewhere
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    elsewhere
        .headers_mut()
        .insert("x-authorization", good.parse().unwrap());
    let reply = answer(&world.app, elsewhere, now).await;
    check_unauthorized("a token elsewhere", DOORS[1], &reply, "missing");
}

/// A token that brings the key it is signed with.
fn with_own_key(world: &World, now: Timestamp) -> Token {
    let own = world.globex.token("", now);
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    world
        .acme
        .token(SERVER_SCOPE, now)
        .header("jwk", jwk)
        .signed_like(own)
}

#[track_caller]
fn check_unauthorized(why: &str, door: (&str, &str, &str), reply: &Reply, code: &str) {
    assert_eq!(reply.status, 401, "{why} at {door:?}: {reply:?}");
    let problem = reply.problem(401, "unauthorized");
    assert_eq!(problem.code.as_deref(), Some(code), "{why} at {door:?}");
    let challenge = reply.headers[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer realm="),
        "{why} at {door:?}: {challenge}"
    );
    // RFC 6750 section 3.1: who sends no token is not told that a token is bad.
    let is_told = challenge.contains("error=\"invalid_token\"");
    assert_eq!(
        is_told,
        !["missing", "not_bearer"].contains(&code),
        "{why}: {challenge}"
    );
}

async fn a_right_token_opens_only_what_it_names(world: World) {
    let now = Timestamp::now();
    world.save("ann", ANN).await;
    let [
        put,
        get,
        log,
        statuses,
        recheck,
        check,
        send,
        verify,
        webhook,
        save_webhook,
        remove_webhook,
        reputation,
    ] = DOORS;
    let both = ("POST", "/v1/statuses", r#"{"leads":["ann","bob"]}"#);
    let of = |scope: &str| world.acme.token(scope, now);
    let for_bob = |scope: &str| of(scope).claim("leads", json!(["bob"]));
    let closed = [
        (
            "no scope at all",
            of("").without_claim("scope"),
            get,
            "scope",
        ),
        ("an empty scope", of(""), statuses, "scope"),
        (
            "words that mean nothing",
            of("admin * leads leads:*"),
            get,
            "scope",
        ),
        ("letter case matters", of("Leads:Read"), get, "scope"),
        ("reading is not writing", of("leads:read"), put, "scope"),
        ("writing is not reading", of("leads:write"), get, "scope"),
        (
            "writing is not reading the log",
            of("leads:write"),
            log,
            "scope",
        ),
        ("statuses show no leads", of("statuses"), get, "scope"),
        (
            "reading leads is not statuses",
            of("leads:read"),
            statuses,
            "scope",
        ),
        (
            "statuses press nothing",
            of("statuses leads:read"),
            recheck,
            "scope",
        ),
        ("a widget writes nothing", of(WIDGET_SCOPE), put, "scope"),
        (
            "a widget shows no webhook",
            of(WIDGET_SCOPE),
            webhook,
            "scope",
        ),
        (
            "a widget saves no webhook",
            of(WIDGET_SCOPE),
            save_webhook,
            "scope",
        ),
        (
            "sending is not removing the webhook",
            of("sends"),
            remove_webhook,
            "scope",
        ),
        (
            "a webhook is of all leads",
            for_bob("webhooks"),
            webhook,
            "lead",
        ),
        (
            "webhooks are not figures",
            of("webhooks"),
            reputation,
            "scope",
        ),
        (
            "figures are of all leads",
            for_bob("reputation"),
            reputation,
            "lead",
        ),
        (
            "a lead outside the list: write",
            for_bob(SERVER_SCOPE),
            put,
            "lead",
        ),
        (
            "a lead outside the list: read",
            for_bob(SERVER_SCOPE),
            get,
            "lead",
        ),
        (
            "a lead outside the list: log",
            for_bob(SERVER_SCOPE),
            log,
            "lead",
        ),
        (
            "a lead outside the list: status",
            for_bob(SERVER_SCOPE),
            statuses,
            "lead",
        ),
        (
            "a lead outside the list: recheck",
            for_bob(SERVER_SCOPE),
            recheck,
            "lead",
        ),
        (
            "one of two outside the list",
            for_bob(SERVER_SCOPE),
            both,
            "lead",
        ),
        (
            "an empty list",
            of(SERVER_SCOPE).claim("leads", json!([])),
            statuses,
            "lead",
        ),
        (
            "what widgets may do is not asking the gate",
            of(WIDGET_SCOPE),
            check,
            "scope",
        ),
        ("saving is not sending", of("leads:write"), send, "scope"),
        (
            "what widgets may do is not asking about addresses",
            of(WIDGET_SCOPE),
            verify,
            "scope",
        ),
        (
            "asking about an address that is no lead's",
            for_bob(SERVER_SCOPE),
            verify,
            "lead",
        ),
        (
            "checking for another lead",
            for_bob(SERVER_SCOPE),
            check,
            "lead",
        ),
        ("mailing another lead", for_bob(SERVER_SCOPE), send, "lead"),
    ];
    for (why, token, door, code) in closed {
        let reply = knock(&world, door, Some(&token.bearer()), now).await;
        assert_eq!(reply.status, 403, "{why}: {reply:?}");
        let problem = reply.problem(403, "forbidden");
        assert_eq!(problem.code.as_deref(), Some(code), "{why}");
        let challenge = reply.headers[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(
            challenge.contains("insufficient_scope"),
            "{why}: {challenge}"
        );
    }
    let lead = world.stored_lead("ann").await.unwrap();
    assert_eq!(
        lead.history.len(),
        1,
        "a refused write must leave the lead as it was"
    );
}

async fn right_tokens_get_in(world: World) {
    let now = Timestamp::now();
    let s = now.as_second();
    world.save("ann", ANN).await;
    let good = || world.acme.token(SERVER_SCOPE, now);
    let widget = || world.acme.token(WIDGET_SCOPE, now);
    let capitals = |scheme: &str| format!("{scheme} {}", good().sign());
    let right = [
        ("ES256 by a PEM key", good().bearer()),
        ("EdDSA by a JWK", good().by_eddsa().bearer()),
        ("the scheme in lower case", capitals("bearer")),
        ("the scheme in capitals", capitals("BEARER")),
        ("typ in lower case", good().header("typ", "jwt").bearer()),
        (
            "aud as a list",
            good()
                .claim("aud", json!(["billing", "leadlight"]))
                .bearer(),
        ),
        (
            "expired within the leeway",
            good().claim("iat", s - 600).claim("exp", s - 50).bearer(),
        ),
        (
            "issued ahead within the leeway",
            good().claim("iat", s + 50).bearer(),
        ),
        ("valid from now", good().claim("nbf", s).bearer()),
        (
            "times with a fraction",
            good()
                .claim("iat", json!(seconds(s) - 0.5))
                .claim("exp", json!(seconds(s) + 599.5))
                .bearer(),
        ),
        ("an hour", good().claim("exp", s + 3_600).bearer()),
        (
            "a widget's for 15 minutes",
            widget().claim("exp", s + 900).bearer(),
        ),
        (
            "restricted to this lead",
            good().claim("leads", json!(["bob", "ann"])).bearer(),
        ),
        ("without sub", good().without_claim("sub").bearer()),
        (
            "claims of its own",
            good().claim("role", "sales").claim("jti", "1").bearer(),
        ),
        (
            "scopes beside unknown ones",
            world
                .acme
                .token("openid  statuses\tleads:read", now)
                .bearer(),
        ),
    ];
    for (why, authorization) in right {
        for door in [DOORS[1], DOORS[3]] {
            let reply = knock(&world, door, Some(&authorization), now).await;
            assert_eq!(reply.status, 200, "{why} at {door:?}: {reply:?}");
        }
    }
}

async fn another_accounts_lead_does_not_exist(world: World) {
    let now = Timestamp::now();
    world.save("ann", ANN).await;
    let globex = world.globex.token(SERVER_SCOPE, now).bearer();
    let [_, get, log, statuses, recheck, ..] = DOORS;
    for door in [get, log, recheck] {
        let reply = knock(&world, door, Some(&globex), now).await;
        reply.problem(404, "unknown-lead");
    }
    let reply = knock(&world, statuses, Some(&globex), now).await;
    let unknown = json!([{ "lead": "ann", "status": "unknown", "may_check_again": false }]);
    assert_eq!((reply.status, &reply.body["statuses"]), (200, &unknown));
}

async fn a_refused_request_reads_and_writes_nothing_of_the_account(world: World) {
    let now = Timestamp::now();
    let strangers: [(&str, Option<String>); 3] = [
        ("no token", None),
        (
            "a widget that writes",
            Some(world.acme.token(WIDGET_SCOPE, now).bearer()),
        ),
        (
            "a bad signature",
            Some(world.acme.token("", now).signature(&[1; 64]).bearer()),
        ),
    ];
    for (why, authorization) in strangers {
        world.table_calls.take_calls();
        let reply = knock(&world, DOORS[0], authorization.as_deref(), now).await;
        assert!([401, 403].contains(&reply.status), "{why}: {reply:?}");
        let calls = world.table_calls.take_calls();
        let is_account = |key: &Value| key["sk"]["S"] == "account";
        assert!(
            calls.iter().all(|call| is_account(&call.body["Key"])),
            "{why}: {calls:?}"
        );
    }
}

/// A `NumericDate` that is no whole number.
fn seconds(whole: i64) -> f64 {
    f64::from(i32::try_from(whole).unwrap())
}
