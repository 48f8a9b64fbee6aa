//! Fast by construction: what the functions are built with, and what they do before their first event.

use std::time::Duration;

use leadlight_dev::lambdas::{self, FUNCTIONS};
use leadlight_dev::progress::Progress;
use leadlight_dev::runtime_api::Function;
use leadlight_dev::stack::{Stack, StackSettings};
use leadlight_dev::workspace;
use leadlight_functions::config::Settings;
use tokio::net::TcpListener;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::Acceptor;

use crate::proxy::Proxy;

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_greet_as_ring_does() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let read = |name: &str| {
        Some(match name {
            "LEADLIGHT_ADDRESS_SECRET" => "0123456789abcdef0123456789abcdef".to_owned(),
            "AWS_ENDPOINT_URL_DYNAMODB" => endpoint.clone(),
            "LEADLIGHT_TABLE" | "AWS_REGION" | "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => {
                "local".to_owned()
            }
            _ => return None,
        })
    };
    let client = Settings::read(read).unwrap().dynamodb();
    let asking = tokio::spawn(async move { client.list_tables().send().await });

    let greeted = async {
        let (stream, _) = listener.accept().await.unwrap();
        LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .unwrap()
    };
    let greeting = tokio::time::timeout(PATIENCE, greeted).await.unwrap();
    let hello = greeting.client_hello();
    let provider = ring::default_provider();
    let groups = provider.kx_groups.iter().map(|group| group.name());
    // Another provider offers others; that of aws-lc begins with a hybrid of ML-KEM.
    assert_eq!(hello.named_groups().unwrap(), groups.collect::<Vec<_>>());
    let schemes = provider.signature_verification_algorithms;
    assert_eq!(hello.signature_schemes(), schemes.supported_schemes());
    drop(greeting);
    asking.abort();
}

#[test]
fn the_release_is_built_small_and_catches_panics() {
    let manifest = std::fs::read_to_string(workspace::root().join("Cargo.toml")).unwrap();
    let (_, profile) = manifest.split_once("[profile.release]\n").unwrap();
    let profile: Vec<&str> = profile
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with('#'))
        .collect();
    let wanted = [
        "opt-level = \"z\"",
        "lto = \"fat\"",
        "codegen-units = 1",
        "strip = true",
        "panic = \"unwind\"",
    ];
    assert_eq!(profile, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_knocks_at_the_table_before_its_first_event_and_does_nothing_else() {
    let built = tokio::task::spawn_blocking(|| lambdas::build(&Progress::silent()));
    let built = built.await.unwrap().unwrap();
    let stack = Stack::start(StackSettings::default()).await.unwrap();
    let table = Proxy::start(stack.engine.endpoint()).await;
    let ses = Proxy::start(stack.ses.endpoint()).await;
    let mut environment = stack.environment();
    for (name, value) in &mut environment {
        match name.as_str() {
            "AWS_ENDPOINT_URL_DYNAMODB" => *value = table.endpoint(),
            "AWS_ENDPOINT_URL_SESV2" => *value = ses.endpoint(),
            _ => {}
        }
    }
    for name in FUNCTIONS {
        let function = Function::spawn(&built.join(name), &environment)
            .await
            .unwrap();
        let ready = tokio::time::timeout(PATIENCE, function.initialised()).await;
        ready.unwrap().unwrap();
        assert_eq!(table.take_operations(), ["GetItem"], "{name}");
        assert_eq!(ses.take_operations().len(), 0, "{name}");
    }
}
