//! The numbers of an account's rules. Every one has a default, a unit and a reason; an account may set its own.

use serde::{Deserialize, Serialize};

/// How an account reads its evidence. Missing fields take their defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question that an account answers with yes or no, by its name in JSON"
)]
pub struct Policy {
    /// Soft bounces that blocklist an address, 1 to 16. Default 5, between `CourtListener`'s and Mailchimp's 7: a full mailbox is
    /// emptied, an abandoned one is not.
    pub soft_bounce_threshold: u8,
    /// Different days (UTC) that those soft bounces must fall on. Default 3: one bad afternoon of a mail server is no pattern.
    pub soft_bounce_days: u8,
    /// Days after which a soft bounce counts no longer. Default 30, `Postal`'s expiry of a suppression.
    pub soft_bounce_window_days: u16,
    /// Days between two releases by Check again of an address that bounced hard for no stated cause. Default 30: asking a
    /// refusing server more often is what reputation systems punish.
    pub recheck_interval_days: u16,
    /// Days after which SES's global suppression list has forgotten an address. Default 14, the most that SES documents.
    pub global_list_days: u16,
    /// Whether addresses at throwaway domains are blocklisted. Default no: risky is not undeliverable.
    pub block_disposable: bool,
    /// Whether role addresses (`info@`, `sales@`) are blocklisted. Default no: business leads often are role addresses.
    pub block_role: bool,
    /// Whether addresses that say that nobody reads them (`noreply@`) are blocklisted. Default yes: mail to them is waste, and
    /// whoever typed one into a form did not want any.
    pub block_no_reply: bool,
    /// Whether saving a corrected address presses Check again by itself. Default no: a person confirms the correction.
    pub recheck_on_save: bool,
    /// Presses of Check again for one lead within an hour. Default 5: a person corrects and retries, a script hammers.
    pub rechecks_per_lead_per_hour: u8,
    /// Presses of Check again in one account within a day (UTC). Default 1,000: clearing is done one lead at a time, by people.
    pub rechecks_per_account_per_day: u32,
    /// Questions to SES whether a mailbox exists (`GetEmailAddressInsights`), in one account within a day (UTC), by Check again.
    /// Default 0, which switches them off: each costs $0.01 (AWS price list of July 2026), and the account has to want that.
    pub mailbox_checks_per_day: u32,
    /// Requests with one token that may stand in a page, within a minute (UTC). Default 300: a page asks once for all its bubbles and
    /// again as it is scrolled, a person presses now and then, and whoever finds the token in the page is to do little with it.
    pub requests_per_page_token_per_minute: u32,
    /// Requests with one token of the CRM's server, within a minute (UTC). Default 3,000, half of the account's: a loop that runs
    /// away leaves the pages theirs.
    pub requests_per_server_token_per_minute: u32,
    /// Requests of one account within a minute (UTC). Default 6,000: 50,000 leads are imported in nine minutes, and of the 500
    /// requests a second that a deployment takes by default, one account has a fifth.
    pub requests_per_account_per_minute: u32,
}

/// The most soft bounces that a threshold can ask for: what the bounded evidence surely keeps.
pub const MAX_SOFT_BOUNCE_THRESHOLD: u8 = 16;

impl Default for Policy {
    fn default() -> Self {
        Self {
            soft_bounce_threshold: 5,
            soft_bounce_days: 3,
            soft_bounce_window_days: 30,
            recheck_interval_days: 30,
            global_list_days: 14,
            block_disposable: false,
            block_role: false,
            block_no_reply: true,
            recheck_on_save: false,
            rechecks_per_lead_per_hour: 5,
            rechecks_per_account_per_day: 1_000,
            mailbox_checks_per_day: 0,
            requests_per_page_token_per_minute: 300,
            requests_per_server_token_per_minute: 3_000,
            requests_per_account_per_minute: 6_000,
        }
    }
}
