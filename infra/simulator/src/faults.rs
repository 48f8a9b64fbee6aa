//! Each fault, as the official client sees it. Here because time can be simulated here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemError, BatchGetItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use aws_smithy_runtime_api::client::http::http_client_fn;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use leadlight_dev::faults::{Fault, Faults, response};
use serde_json::{Value, json};

/// Answers batches with nothing found, and notes how many keys it was asked for.
#[derive(Clone, Debug, Default)]
struct Carrier(Arc<Mutex<Vec<usize>>>);

impl HttpConnector for Carrier {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let keys = asked.pointer("/RequestItems/leads/Keys").unwrap();
        self.0.lock().unwrap().push(keys.as_array().unwrap().len());
        let found = json!({ "Responses": { "leads": [] }, "UnprocessedKeys": {} });
        HttpConnectorFuture::ready(Ok(response(200.try_into().unwrap(), &found)))
    }
}

type Answer = Result<BatchGetItemOutput, SdkError<BatchGetItemError>>;

/// Asks for ten keys while nothing but `fault` happens. Gives back the answer, and for how many keys the carrier was asked at
/// once and a minute later.
async fn ask(fault: Fault) -> (Answer, Vec<usize>, Vec<usize>) {
    let carrier = Carrier::default();
    let connector = SharedHttpConnector::new(carrier.clone());
    let client = http_client_fn(move |_, _| connector.clone());
    let attempt = Duration::from_millis(700);
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "key", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(attempt)
                .build(),
        )
        .http_client(Faults::new(1, 1_000, &[fault]).over(client));
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    let key = |n: usize| [("pk".to_owned(), AttributeValue::S(n.to_string()))].into();
    let keys = KeysAndAttributes::builder().set_keys(Some((0..10).map(key).collect()));
    let call = client
        .batch_get_item()
        .request_items("leads", keys.build().unwrap());
    let answer = call.send().await;
    let at_once = carrier.0.lock().unwrap().clone();
    tokio::time::sleep(Duration::from_mins(1)).await;
    let later = carrier.0.lock().unwrap().clone();
    (answer, at_once, later)
}

#[tokio::test(start_paused = true)]
async fn every_fault_is_what_its_name_says() {
    for fault in Fault::ALL {
        let (answer, at_once, later) = ask(fault).await;
        let code = answer.as_ref().err().and_then(ProvideErrorMetadata::code);
        let is_lost = matches!(answer, Err(SdkError::TimeoutError(_)));
        let is_reset =
            matches!(&answer, Err(SdkError::DispatchFailure(failure)) if failure.is_io());
        let left = answer.as_ref().ok().map(|answer| {
            let left = answer
                .unprocessed_keys()
                .and_then(|tables| tables.get("leads"));
            left.map_or(0, |left| left.keys().len())
        });
        match fault {
            Fault::Throttled => {
                assert_eq!(code, Some("ProvisionedThroughputExceededException"));
                assert!(later.is_empty());
            }
            Fault::Internal => {
                assert_eq!(code, Some("InternalServerError"));
                assert!(later.is_empty());
            }
            Fault::LostRequest => assert!(is_lost && later.is_empty()),
            Fault::LostAnswer => assert!(is_lost && at_once == [10]),
            Fault::Late => assert!(is_lost && at_once.is_empty() && later == [10]),
            Fault::ResetBefore => assert!(is_reset && later.is_empty()),
            Fault::ResetAfter => assert!(is_reset && at_once == [10]),
            Fault::Slow => assert_eq!((left, at_once), (Some(0), vec![10])),
            Fault::Partial => {
                let done = *at_once.first().unwrap();
                assert!((1..10).contains(&done), "{done}");
                assert_eq!(left, Some(10 - done));
            }
        }
    }
}
