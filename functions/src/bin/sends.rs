//! The function `sends`: is the gate, see [`leadlight_functions::sends`].

use lambda_runtime::Error;
use leadlight_functions::app::App;
use leadlight_functions::config::start_log;
use leadlight_functions::http::serve;
use leadlight_functions::sends;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log();
    let app = &App::from_env()?;
    app.warm().await;
    serve(async |request| sends::handle(app, request).await).await
}
