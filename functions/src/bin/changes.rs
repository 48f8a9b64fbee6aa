//! The function `changes`: follows the table's stream, see [`leadlight_functions::changes`].

use std::time::{Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use leadlight_functions::changes;
use leadlight_functions::config::{App, Settings, start_log};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::new(&Settings::from_env()?)?;
    app.warm().await;
    run(service_fn(async |event: LambdaEvent<serde_json::Value>| {
        // A deadline before the event is none; cargo-lambda sends such.
        let left = event
            .context
            .deadline()
            .duration_since(SystemTime::now())
            .ok();
        let deadline = left.map(|left| Instant::now() + left);
        changes::handle(app, event.payload, deadline).await
    }))
    .await
}
