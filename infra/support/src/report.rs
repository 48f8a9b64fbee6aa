//! What a survey and a repair are told as: text for people, JSON for machines. It names addresses, which logs never do.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::address::Address;
use leadlight::assessment::{Assessment, Condition};
use leadlight_functions::suppression_list::{Entry, List};
use serde::Serialize;

use crate::comparison::Difference;
use crate::drift::{Finding, Survey};
use crate::plan::Plan;

/// How many addresses of one difference the text shows. JSON has them all.
const SHOWN: usize = 20;

/// The whole of a run, for machines.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    survey: Option<SurveyDocument<'a>>,
    repair: Option<RepairDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct SurveyDocument<'a> {
    account: &'a AccountId,
    surveyed_at: Timestamp,
    lists: Vec<Listed<'a>>,
    agreed: usize,
    strangers: usize,
    unreadable: &'a [String],
    counts: BTreeMap<Difference, usize>,
    differences: Vec<Differing<'a>>,
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    list: &'a List,
    entries: usize,
}

#[derive(Debug, Serialize)]
struct Differing<'a> {
    address: &'a Address,
    differences: Vec<Difference>,
    ses: &'a [Entry],
    leadlight: Said,
    is_repairable: bool,
}

#[derive(Debug, Serialize)]
struct Said {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct RepairDocument<'a> {
    repaired: usize,
    settled: usize,
    open: usize,
    failed: Vec<Failed<'a>>,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    ses: &'a [Entry],
    why: &'a str,
}

impl<'a> Document<'a> {
    /// What a run found and what it did.
    #[must_use]
    pub fn new(survey: Option<&'a Survey>, plan: Option<&'a Plan>) -> Self {
        Self {
            survey: survey.map(SurveyDocument::new),
            repair: plan.map(RepairDocument::new),
        }
    }
}

impl<'a> SurveyDocument<'a> {
    fn new(survey: &'a Survey) -> Self {
        let lists = survey.lists.iter();
        Self {
            account: &survey.account,
            surveyed_at: survey.surveyed_at,
            lists: lists
                .map(|(list, entries)| Listed {
                    list,
                    entries: *entries,
                })
                .collect(),
            agreed: survey.agreed,
            strangers: survey.strangers,
            unreadable: &survey.unreadable,
            counts: Difference::ALL
                .into_iter()
                .map(|difference| (difference, with(survey, difference).count()))
                .collect(),
            differences: survey.findings.iter().map(Differing::new).collect(),
        }
    }
}

impl<'a> Differing<'a> {
    fn new(finding: &'a Finding) -> Self {
        let (status, reason) = said(&finding.assessment);
        Self {
            address: &finding.address,
            differences: finding.differences.iter().copied().collect(),
            ses: &finding.entries,
            leadlight: Said {
                status,
                reason,
                cause: finding
                    .assessment
                    .reason()
                    .and_then(leadlight::assessment::Reason::cause),
                since: finding.assessment.since,
            },
            is_repairable: !finding.repair.is_empty(),
        }
    }
}

impl<'a> RepairDocument<'a> {
    fn new(plan: &'a Plan) -> Self {
        let failed = plan.failed.iter().map(|failure| Failed {
            ses: &failure.item.entries,
            why: &failure.why,
        });
        Self {
            repaired: plan.repaired,
            settled: plan.settled,
            open: plan.open.len(),
            failed: failed.collect(),
        }
    }
}

/// The survey, for people.
#[must_use]
pub fn survey(survey: &Survey) -> String {
    let mut text = format!(
        "Account {} at {:.0}\n\n",
        survey.account, survey.surveyed_at
    );
    for (list, entries) in &survey.lists {
        line(&mut text, &format!("Entries on {}", whose(list)), *entries);
    }
    line(
        &mut text,
        "Addresses that both sides withhold",
        survey.agreed,
    );
    line(
        &mut text,
        "Addresses about which they differ",
        survey.findings.len(),
    );
    line(
        &mut text,
        "Addresses of which this account has no evidence",
        survey.strangers,
    );
    line(
        &mut text,
        "Entries that are no addresses to Leadlight",
        survey.unreadable.len(),
    );
    for spelling in &survey.unreadable {
        let _ = writeln!(text, "    {spelling}");
    }
    for difference in Difference::ALL {
        section(&mut text, survey, difference);
    }
    text
}

fn section(text: &mut String, survey: &Survey, difference: Difference) {
    let findings: Vec<&Finding> = with(survey, difference).collect();
    if findings.is_empty() {
        return;
    }
    let rows: Vec<[String; 3]> = findings.iter().take(SHOWN).map(|one| row(one)).collect();
    let width = |column: fn(&[String; 3]) -> &String| {
        rows.iter().map(|row| column(row).chars().count()).max()
    };
    let (first, second) = (
        width(|[address, _, _]| address).unwrap_or_default(),
        width(|[_, ses, _]| ses).unwrap_or_default(),
    );
    let _ = writeln!(text, "\n{}: {}", difference.title(), findings.len());
    let _ = writeln!(text, "  {}", difference.why());
    if let Some(repair) = difference.repair() {
        let _ = writeln!(text, "  Repair: {repair}.");
    }
    for [address, ses, leadlight] in &rows {
        let _ = writeln!(
            text,
            "    {address:first$}  SES: {ses:second$}  Leadlight: {leadlight}"
        );
    }
    if findings.len() > SHOWN {
        let more = findings.len() - SHOWN;
        let _ = writeln!(text, "    … and {more} more; --json has them all");
    }
}

fn row(finding: &Finding) -> [String; 3] {
    let address = finding.address.as_str();
    let entries: Vec<String> = finding
        .entries
        .iter()
        .map(|entry| listing(entry, Some(address)))
        .collect();
    let ses = if entries.is_empty() {
        "not listed".to_owned()
    } else {
        entries.join(", ")
    };
    let (status, reason) = said(&finding.assessment);
    let leadlight = match (reason, finding.assessment.since) {
        (Some(reason), Some(since)) => format!("{reason} since {}", day(since)),
        (Some(reason), None) => reason.to_owned(),
        (None, _) => status.to_owned(),
    };
    [address.to_owned(), ses, leadlight]
}

/// An entry in words. Its spelling only where that differs from `address`.
fn listing(entry: &Entry, address: Option<&str>) -> String {
    let reason = if entry.is_complaint {
        "COMPLAINT"
    } else {
        "BOUNCE"
    };
    let list = match &entry.list {
        List::Account => "account",
        List::Tenant(_) => "tenant",
    };
    let mut words = format!("{list} {reason}");
    if address != Some(&entry.spelling) {
        let _ = write!(words, " as {}", entry.spelling);
    }
    if let Some(since) = entry.since {
        let _ = write!(words, " since {}", day(since));
    }
    words
}

fn day(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

fn said(assessment: &Assessment) -> (&'static str, Option<&'static str>) {
    match assessment.condition {
        Condition::Clear => ("clear", None),
        Condition::SoftBouncing => ("soft_bouncing", None),
        Condition::Blocklisted(reason) => ("blocklisted", Some(reason.code())),
    }
}

fn with(survey: &Survey, difference: Difference) -> impl Iterator<Item = &Finding> {
    survey
        .findings
        .iter()
        .filter(move |finding| finding.differences.contains(&difference))
}

fn line(text: &mut String, what: &str, count: usize) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{what:<60}{count:>10}");
}

fn whose(list: &List) -> String {
    match list {
        List::Account => "the AWS account's list".to_owned(),
        List::Tenant(name) => format!("the list of the SES tenant {name}"),
    }
}

/// How a repair stands, for people.
#[must_use]
pub fn repair(plan: &Plan) -> String {
    let mut text = String::new();
    line(&mut text, "Addresses repaired", plan.repaired);
    line(
        &mut text,
        "Addresses that needed nothing any more",
        plan.settled,
    );
    line(&mut text, "Addresses still to be repaired", plan.open.len());
    line(
        &mut text,
        "Addresses that could not be repaired",
        plan.failed.len(),
    );
    for failure in &plan.failed {
        let entries = failure.item.entries.iter();
        let entries: Vec<String> = entries.map(|entry| listing(entry, None)).collect();
        let _ = writeln!(text, "    {}: {}", entries.join(", "), failure.why);
    }
    text
}
