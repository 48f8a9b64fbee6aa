//! The function `statuses`: answers the widget, see [`leadlight_functions::statuses`].

use lambda_runtime::Error;
use leadlight_functions::app::Store;
use leadlight_functions::config::start_log;
use leadlight_functions::http::serve;
use leadlight_functions::statuses;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let store = &Store::from_env()?;
    store.warm().await;
    serve(async |request| statuses::handle(store, request).await).await
}
