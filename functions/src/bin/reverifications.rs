//! The function `reverifications`: verifies what is due, see [`leadlight_functions::reverifications`].

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use leadlight_functions::app::App;
use leadlight_functions::config::start_log;
use leadlight_functions::invocation::deadline;
use leadlight_functions::reverifications;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::from_env()?;
    app.warm().await;
    // What the schedule sends says nothing that is needed.
    run(service_fn(async |event: LambdaEvent<serde_json::Value>| {
        reverifications::handle(app, deadline(&event.context)).await
    }))
    .await
}
