//! The function `webhooks`: keeps the webhook of an account, see [`leadlight_functions::webhooks`].

use lambda_runtime::Error;
use leadlight_functions::app::App;
use leadlight_functions::config::start_log;
use leadlight_functions::http::serve;
use leadlight_functions::webhooks;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::from_env()?;
    app.warm().await;
    serve(async |request| webhooks::handle(app, request).await).await
}
