//! The function `subscriber`: takes what SNS delivers by HTTPS, see [`leadlight_functions::subscriber`].

use core::convert::Infallible;

use lambda_http::{Error, Request, run, service_fn};
use leadlight_functions::config::{App, Settings, start_log};
use leadlight_functions::subscriber;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::new(&Settings::from_env()?)?;
    app.warm().await;
    run(service_fn(async |request: Request| {
        Ok::<_, Infallible>(subscriber::handle(app, request).await)
    }))
    .await
}
