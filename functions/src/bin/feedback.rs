//! The function `feedback`: turns what SES publishes into evidence, see [`leadlight_functions::feedback`].

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use leadlight_functions::app::Store;
use leadlight_functions::config::start_log;
use leadlight_functions::feedback;
use leadlight_functions::invocation::deadline;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let store = &Store::from_env()?;
    store.warm().await;
    run(service_fn(async |event: LambdaEvent<serde_json::Value>| {
        let deadline = deadline(&event.context);
        feedback::handle(store, event.payload, deadline).await
    }))
    .await
}
