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
        line(&mut text, *entries, &format!("entries on {}", whose(list)));
    }
    line(
        &mut text,
        survey.agreed,
        "addresses that both sides withhold",
    );
    if survey.strangers > 0 {
        line(
            &mut text,
            survey.strangers,
            "addresses on the AWS account's list that this account has nothing about",
        );
    }
    if !survey.unreadable.is_empty() {
        let spellings = survey.unreadable.join(", ");
        line(
            &mut text,
            survey.unreadable.len(),
            &format!("entries that Leadlight could never send to: {spellings}"),
        );
    }
    line(
        &mut text,
        survey.findings.len(),
        "addresses about which the sides differ",
    );
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
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n{}: {}", difference.title(), findings.len());
    let _ = writeln!(text, "  {}", difference.why());
    if let Some(repair) = difference.repair() {
        let _ = writeln!(text, "  Repair: {repair}.");
    }
    for [address, ses, leadlight] in &rows {
        let _ = writeln!(text, "    {address:first$}  {ses:second$}  {leadlight}");
    }
    if findings.len() > SHOWN {
        let more = findings.len() - SHOWN;
        let _ = writeln!(text, "    … and {more} more; --json has them all");
    }
}

fn row(finding: &Finding) -> [String; 3] {
    let entries: Vec<String> = finding.entries.iter().map(listing).collect();
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
    [finding.address.as_str().to_owned(), ses, leadlight]
}

fn listing(entry: &Entry) -> String {
    let reason = if entry.is_complaint {
        "COMPLAINT"
    } else {
        "BOUNCE"
    };
    let list = match &entry.list {
        List::Account => "account",
        List::Tenant(_) => "tenant",
    };
    let since = entry.since.map(day).unwrap_or_default();
    format!("{} {list} {reason} {since}", entry.spelling)
        .trim_end()
        .to_owned()
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

fn line(text: &mut String, count: usize, what: &str) {
    let _ = writeln!(text, "{count:>9}  {what}");
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
    line(&mut text, plan.repaired, "addresses repaired");
    if plan.settled > 0 {
        line(
            &mut text,
            plan.settled,
            "addresses that needed nothing any more",
        );
    }
    if !plan.open.is_empty() {
        line(&mut text, plan.open.len(), "addresses still to be repaired");
    }
    if !plan.failed.is_empty() {
        line(
            &mut text,
            plan.failed.len(),
            "addresses that could not be repaired:",
        );
    }
    for failure in &plan.failed {
        let entries: Vec<String> = failure.item.entries.iter().map(listing).collect();
        let _ = writeln!(text, "    {}: {}", entries.join(", "), failure.why);
    }
    text
}
