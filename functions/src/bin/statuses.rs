//! The function `statuses`: answers the widget, see [`leadlight_functions::statuses`].

use core::convert::Infallible;

use lambda_http::{Error, Request, run, service_fn};
use leadlight_functions::config::{Store, start_log};
use leadlight_functions::statuses;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let store = &Store::from_env()?;
    store.warm().await;
    run(service_fn(async |request: Request| {
        Ok::<_, Infallible>(statuses::handle(store, request).await)
    }))
    .await
}
