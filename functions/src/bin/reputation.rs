//! The function `reputation`: sums up what became of messages, see [`leadlight_functions::reputation`].

use core::convert::Infallible;

use lambda_http::{Error, Request, run, service_fn};
use leadlight_functions::config::{Store, start_log};
use leadlight_functions::reputation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let store = &Store::from_env()?;
    store.warm().await;
    run(service_fn(async |request: Request| {
        Ok::<_, Infallible>(reputation::handle(store, request).await)
    }))
    .await
}
