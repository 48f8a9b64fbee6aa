//! The function `webhooks`: keeps the webhook of an account, see [`leadlight_functions::webhooks`].

use core::convert::Infallible;

use lambda_http::{Error, Request, run, service_fn};
use leadlight_functions::config::{App, Settings, start_log};
use leadlight_functions::webhooks;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::new(&Settings::from_env()?)?;
    app.warm().await;
    run(service_fn(async |request: Request| {
        Ok::<_, Infallible>(webhooks::handle(app, request).await)
    }))
    .await
}
