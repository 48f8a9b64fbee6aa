//! The function `reputation`: sums up what became of messages, see [`leadlight_functions::reputation`].

use lambda_runtime::Error;
use leadlight_functions::app::Store;
use leadlight_functions::config::start_log;
use leadlight_functions::http::serve;
use leadlight_functions::reputation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let store = &Store::from_env()?;
    store.warm().await;
    serve(async |request| reputation::handle(store, request).await).await
}
