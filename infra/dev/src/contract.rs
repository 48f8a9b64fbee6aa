//! `cargo dev contract`: holds the API to its description, by requests that schemathesis makes from it.
//!
//! It asks a stack of its own with all kinds of requests, right and wrong ones and whole chains of them, first with a token that is good
//! for everything, then without any; how is said in `tests/schemathesis.toml`. The account it asks for has no limits worth the name, and
//! leads in every state.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::progress::Progress;
use crate::stack::{DEMO, Stack, StackSettings};
use crate::{tools, workspace};

/// For how long the API is asked, unless it is said.
pub const SECONDS: u32 = 70;
/// Which requests are made, unless it is said.
pub const SEED: u32 = 1;
/// The variable that holds the token.
const TOKEN: &str = "LEADLIGHT_TOKEN";
/// A token that is none, for the requests that have none.
const NO_TOKEN: &str = "none";
/// How long the requests without a token are made: they are all answered alike.
const WITHOUT_TOKEN: Duration = Duration::from_secs(10);

/// Holds the API to its description for about so long. The same seed makes the same requests.
///
/// # Errors
/// When an answer is not as described, or the tools cannot be had.
pub fn check(time: Duration, seed: u32, progress: &Progress) -> anyhow::Result<()> {
    let python = tools::python(progress)?;
    let folder = tempfile::tempdir().context("make a folder for schemathesis")?;
    let runtime = tokio::runtime::Runtime::new().context("start the async runtime")?;
    // As an operator writes it: nobody is to be refused for asking much.
    let policy = json!({
        "rechecks_per_lead_per_hour": u8::MAX,
        "rechecks_per_account_per_day": u32::MAX,
        "requests_per_page_token_per_minute": u32::MAX,
        "requests_per_server_token_per_minute": u32::MAX,
        "requests_per_account_per_minute": u32::MAX,
    });
    let settings = StackSettings {
        policy: serde_json::from_value(policy).context("read the policy")?,
        without_webhook: true,
        ..StackSettings::default()
    };
    let stack = runtime.block_on(async {
        let stack = Stack::start(settings).await?;
        tell(&stack)
            .await
            .context("tell the story of the examples")?;
        anyhow::Ok(stack)
    })?;
    let token = stack.account.server_token(Timestamp::now())?.token;
    let runs = [
        (token.as_str(), time.saturating_sub(WITHOUT_TOKEN)),
        (NO_TOKEN, WITHOUT_TOKEN),
    ];
    for (token, time) in runs {
        let mut asking = Command::new(python.program("schemathesis"));
        asking
            .current_dir(folder.path())
            .env(TOKEN, token)
            .arg("--config-file")
            .arg(workspace::root().join("tests/schemathesis.toml"))
            .arg("run")
            .arg([&stack.origin(), "/v1/openapi.json"].concat())
            .args(["--max-time", &time.as_secs().max(1).to_string()])
            .args(["--seed", &seed.to_string()])
            .args(["--warnings", "off", "--no-color"]);
        if token == NO_TOKEN {
            // Whatever is asked, the answer is the same.
            asking.args(["--exclude-checks", "positive_data_acceptance"]);
        }
        progress.run(&mut asking)?;
    }
    Ok(())
}

/// Lets happen what the examples of the description tell of: Pat's address bounced, and Sam complained.
async fn tell(stack: &Stack) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let token = stack.account.server_token(Timestamp::now())?.token;
    let now = Timestamp::now().to_string();
    let people = [
        ("lead-1042", "pat@harbour.example"),
        ("lead-1043", "sam@quay.example"),
    ];
    for (lead, address) in people {
        let path = format!("{}/v1/leads/{lead}", stack.origin());
        let saved = client
            .put(path)
            .bearer_auth(&token)
            .json(&json!({ "address": address }));
        ensure_taken(saved).await?;
    }
    let mail =
        json!({ "messageId": "m-1", "timestamp": now, "tags": { "leadlight-account": [DEMO] } });
    let bounce = json!({
        "eventType": "Bounce",
        "mail": mail,
        "bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "feedbackId": "f-1",
            "timestamp": now,
            "bouncedRecipients": [{ "emailAddress": "pat@harbour.example", "action": "failed", "status": "5.0.0" }],
        },
    });
    let complaint = json!({
        "eventType": "Complaint",
        "mail": mail,
        "complaint": {
            "feedbackId": "f-2",
            "timestamp": now,
            "complainedRecipients": [{ "emailAddress": "sam@quay.example" }],
        },
    });
    for notification in [bounce, complaint] {
        let path = format!("{}/local/feedback", stack.origin());
        ensure_taken(client.post(path).json(&notification)).await?;
    }
    Ok(())
}

async fn ensure_taken(request: reqwest::RequestBuilder) -> anyhow::Result<()> {
    let answer = request.send().await?;
    let status = answer.status();
    let body: Value = answer.json().await?;
    ensure!(status.is_success(), "it answered {status}: {body}");
    let given_back = body.get("batchItemFailures").and_then(Value::as_array);
    ensure!(
        given_back.is_none_or(Vec::is_empty),
        "it was given back: {body}"
    );
    Ok(())
}
