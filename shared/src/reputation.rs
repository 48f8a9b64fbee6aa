//! The reputation of an account as SES and mailbox providers see it: what became of its messages, counted by day.
//!
//! Counts are of pieces of evidence, so whatever evidence knows once is counted once. Rates follow SES's own reading as far as an
//! account can see it, and lean to the worse where it cannot. Limits: SES's *reputation metrics* questions and answers.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::codes::coded;
use crate::evidence::{Attribution, Fact, Note, SuppressionList};

coded! {
    /// What became of a message for one recipient, as it is counted.
    Outcome {
        /// SES took it in.
        Sent = "sent",
        /// It arrived.
        Delivered = "delivered",
        /// Refused for good.
        HardBounce = "hard_bounce",
        /// Refused for now.
        SoftBounce = "soft_bounce",
        /// Not tried, for a list of the account's own. Counts in no rate of SES.
        Withheld = "withheld",
        /// Not tried, for SES's global list. SES counts it as a bounce.
        WithheldGlobally = "withheld_globally",
        /// Reported as spam.
        Complaint = "complaint",
        /// Reported as spam by this recipient or another of the same message.
        PossibleComplaint = "possible_complaint",
        /// Refused for what it held.
        MessageFault = "message_fault",
        /// Refused for who sent it.
        SenderFault = "sender_fault",
    }
}

impl Outcome {
    /// As what a fact is counted; most others are about no message.
    #[must_use]
    pub fn of(fact: &Fact) -> Option<Self> {
        match fact {
            Fact::Sent { .. } => Some(Self::Sent),
            Fact::Delivery { .. } => Some(Self::Delivered),
            Fact::HardBounce { .. } => Some(Self::HardBounce),
            Fact::SoftBounce { .. } => Some(Self::SoftBounce),
            Fact::Withheld {
                list: SuppressionList::Global,
                ..
            } => Some(Self::WithheldGlobally),
            Fact::Withheld { .. } => Some(Self::Withheld),
            Fact::Complaint {
                attribution: Attribution::Certain,
                ..
            } => Some(Self::Complaint),
            Fact::Complaint {
                attribution: Attribution::Candidate,
                ..
            } => Some(Self::PossibleComplaint),
            Fact::Note { note, .. } => match note {
                Note::MessageFault => Some(Self::MessageFault),
                Note::SenderFault => Some(Self::SenderFault),
                Note::AutoReply | Note::Delayed | Note::NotSpam | Note::AuthFailure => None,
            },
            Fact::ManualBlock { .. }
            | Fact::Verification { .. }
            | Fact::Release { .. }
            | Fact::Subscription { .. } => None,
        }
    }
}

coded! {
    /// Who keeps the recipients' mailboxes, as far as the domain tells: companies' own domains are `Other`, whoever hosts them.
    MailboxProvider {
        /// Gmail.
        Google = "google",
        /// Outlook, Hotmail, Live, MSN.
        Microsoft = "microsoft",
        /// Yahoo and AOL.
        Yahoo = "yahoo",
        /// iCloud.
        Apple = "apple",
        /// GMX, web.de, 1&1.
        UnitedInternet = "united_internet",
        /// T-Online, Orange, Comcast and other network operators.
        Operator = "operator",
        /// Everybody else.
        Other = "other",
    }
}

impl MailboxProvider {
    /// Who keeps the mailboxes of `domain`, which is in lower case.
    #[must_use]
    pub fn of(domain: &str) -> Self {
        let (name, _) = domain.split_once('.').unwrap_or((domain, ""));
        match (name, domain) {
            (_, "gmail.com" | "googlemail.com") => Self::Google,
            ("outlook" | "hotmail" | "live" | "msn" | "passport", _) => Self::Microsoft,
            ("yahoo" | "ymail" | "rocketmail" | "aol" | "aim", _) => Self::Yahoo,
            (_, "icloud.com" | "me.com" | "mac.com") => Self::Apple,
            ("gmx", _) | (_, "web.de" | "mail.com" | "1und1.de" | "email.de") => {
                Self::UnitedInternet
            }
            (
                _,
                "t-online.de" | "freenet.de" | "orange.fr" | "wanadoo.fr" | "sfr.fr" | "free.fr"
                | "laposte.net" | "libero.it" | "alice.it" | "bluewin.ch" | "btinternet.com"
                | "sky.com" | "comcast.net" | "verizon.net" | "att.net" | "sbcglobal.net"
                | "bellsouth.net" | "charter.net" | "cox.net" | "optonline.net" | "earthlink.net"
                | "bigpond.com",
            ) => Self::Operator,
            _everybody_else => Self::Other,
        }
    }
}

/// By what is counted within a day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The domain that was sent from; empty where it is not known.
    pub sender: String,
    /// Who keeps the recipient's mailbox.
    pub provider: MailboxProvider,
    /// What became of the message.
    pub outcome: Outcome,
}

/// Messages by what became of them. A message to several recipients counts for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Taken in by SES. Zero where SES's `Send` events are not published to Leadlight.
    pub sent: u64,
    /// Arrived.
    pub delivered: u64,
    /// Refused for good.
    pub hard_bounces: u64,
    /// Refused for now.
    pub soft_bounces: u64,
    /// Not tried, for a list of the account's own.
    pub withheld: u64,
    /// Not tried, for SES's global list.
    pub withheld_globally: u64,
    /// Reported as spam.
    pub complaints: u64,
    /// Reported as spam, by this recipient or another of the same message.
    pub possible_complaints: u64,
    /// Refused for what they held.
    pub message_faults: u64,
    /// Refused for who sent them.
    pub sender_faults: u64,
}

impl Counts {
    /// Adds messages with one outcome.
    pub fn add(&mut self, outcome: Outcome, messages: u64) {
        let count = match outcome {
            Outcome::Sent => &mut self.sent,
            Outcome::Delivered => &mut self.delivered,
            Outcome::HardBounce => &mut self.hard_bounces,
            Outcome::SoftBounce => &mut self.soft_bounces,
            Outcome::Withheld => &mut self.withheld,
            Outcome::WithheldGlobally => &mut self.withheld_globally,
            Outcome::Complaint => &mut self.complaints,
            Outcome::PossibleComplaint => &mut self.possible_complaints,
            Outcome::MessageFault => &mut self.message_faults,
            Outcome::SenderFault => &mut self.sender_faults,
        };
        *count = count.saturating_add(messages);
    }

    /// Hard bounces, with what SES withheld for its global list, of all messages; `None` without a message. Where fewer
    /// messages are known as sent than their outcomes tell, the outcomes are taken.
    #[must_use]
    pub fn bounce_rate(&self) -> Option<f64> {
        let bounced = self.hard_bounces.saturating_add(self.withheld_globally);
        let told = bounced
            .saturating_add(self.delivered)
            .saturating_add(self.soft_bounces);
        ratio(bounced, self.sent.max(told))
    }

    /// Complaints, possible ones with them, of what was delivered; `None` without a delivery. SES divides by the deliveries to
    /// providers that report complaints only, which it does not name: its figure may be higher.
    #[must_use]
    pub fn complaint_rate(&self) -> Option<f64> {
        let complaints = self.complaints.saturating_add(self.possible_complaints);
        ratio(complaints, self.delivered)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate; no count of messages comes near 2^53"
)]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Counts, and the rates that follow from them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// See [`Counts::bounce_rate`]; 0 to 1.
    pub bounce_rate: Option<f64>,
    /// See [`Counts::complaint_rate`]; 0 to 1.
    pub complaint_rate: Option<f64>,
}

impl From<Counts> for Figures {
    fn from(counts: Counts) -> Self {
        Self {
            counts,
            bounce_rate: counts.bounce_rate(),
            complaint_rate: counts.complaint_rate(),
        }
    }
}

/// The figures of one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DayFigures {
    /// The day (UTC) on which it happened.
    pub date: Date,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The figures of one sending domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SenderFigures {
    /// The domain; empty where notifications did not name one.
    pub domain: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The figures of one mailbox provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderFigures {
    /// The provider.
    pub provider: MailboxProvider,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Rates from which SES acts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limit {
    /// From here SES puts the account under review.
    pub review: f64,
    /// From here SES may pause its sending.
    pub pause: f64,
}

/// SES's limits, of hard bounces: 5 % and 10 % (SES, *sending review process* questions and answers).
pub const BOUNCE_LIMIT: Limit = Limit {
    review: 0.05,
    pause: 0.10,
};
/// SES's limits, of complaints: 0.1 % and 0.5 % (the same page).
pub const COMPLAINT_LIMIT: Limit = Limit {
    review: 0.001,
    pause: 0.005,
};

/// SES's limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// Of the bounce rate.
    pub bounce: Limit,
    /// Of the complaint rate.
    pub complaint: Limit,
}

/// The answer of `GET /v1/reputation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reputation {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// All days together.
    pub total: Figures,
    /// Every day, also those on which nothing happened.
    pub days: Vec<DayFigures>,
    /// By the domain that was sent from.
    pub senders: Vec<SenderFigures>,
    /// By who keeps the recipients' mailboxes.
    pub providers: Vec<ProviderFigures>,
    /// SES's limits for the rates.
    pub limits: Limits,
}

impl Reputation {
    /// Sums up what was counted on each of the days.
    #[must_use]
    pub fn new(from: Date, to: Date, counted: &BTreeMap<Date, BTreeMap<Counted, u64>>) -> Self {
        let (mut total, mut days) = (Counts::default(), Vec::new());
        let mut senders: BTreeMap<&str, Counts> = BTreeMap::new();
        let mut providers: BTreeMap<MailboxProvider, Counts> = BTreeMap::new();
        let dates = from.series(jiff::Span::new().days(1));
        for date in dates.take_while(|date| *date <= to) {
            let mut day = Counts::default();
            for (by, messages) in counted.get(&date).into_iter().flatten() {
                let sender = senders.entry(by.sender.as_str()).or_default();
                let provider = providers.entry(by.provider).or_default();
                for counts in [&mut total, &mut day, sender, provider] {
                    counts.add(by.outcome, *messages);
                }
            }
            let figures = day.into();
            days.push(DayFigures { date, figures });
        }
        let sender = |(domain, counts): (&str, Counts)| SenderFigures {
            domain: domain.to_owned(),
            figures: counts.into(),
        };
        let provider = |(provider, counts): (MailboxProvider, Counts)| ProviderFigures {
            provider,
            figures: counts.into(),
        };
        Self {
            from,
            to,
            total: total.into(),
            days,
            senders: senders.into_iter().map(sender).collect(),
            providers: providers.into_iter().map(provider).collect(),
            limits: Limits {
                bounce: BOUNCE_LIMIT,
                complaint: COMPLAINT_LIMIT,
            },
        }
    }
}
