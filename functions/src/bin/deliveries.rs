//! The function `deliveries`: delivers changes to webhooks, see [`leadlight_functions::deliveries`].

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use leadlight_functions::app::App;
use leadlight_functions::config::start_log;
use leadlight_functions::deliveries;
use leadlight_functions::invocation::deadline;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::from_env()?;
    app.warm().await;
    run(service_fn(async |event: LambdaEvent<serde_json::Value>| {
        let deadline = deadline(&event.context);
        deliveries::handle(app, event.payload, deadline).await
    }))
    .await
}
