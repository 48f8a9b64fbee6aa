//! What SES's lists and our record say of one address, and what would bring them together. Pure.
//!
//! The rules are the domain's own: an entry matters if the evidence that it is, merged into the record, would block the address,
//! and is outlived by a release if it would not. SES matches addresses without letter case, and lists them with it (SES
//! developer guide, *tenant-level suppression list*).

use std::collections::BTreeSet;

use jiff::Timestamp;
use leadlight::address::{Address, AddressKey};
use leadlight::assessment::{Assessment, Reason, assess};
use leadlight::evidence::{AddressRecord, Authority, Evidence, Fact, Piece};
use leadlight::policy::Policy;
use leadlight_functions::suppression_list::{Entry, List};
use serde::Serialize;

/// A way in which SES's lists and our record differ, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// SES lists the address for a complaint that we do not know.
    UnknownComplaint,
    /// SES lists the address, and we would send to it.
    UnknownListing,
    /// We released the address after SES listed it, and SES lists it still.
    ReleasedButListed,
    /// SES lists the address in a letter case that we do not know.
    UnknownSpelling,
    /// SES lists the address in several letter cases on one list.
    ListedTwice,
    /// We blocklist the address, and SES would send to it.
    BlockedHereOnly,
}

impl Difference {
    /// Every difference, worst first.
    pub const ALL: [Self; 6] = [
        Self::UnknownComplaint,
        Self::UnknownListing,
        Self::ReleasedButListed,
        Self::UnknownSpelling,
        Self::ListedTwice,
        Self::BlockedHereOnly,
    ];

    /// What it is.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::UnknownComplaint => "SES knows of a complaint that Leadlight does not",
            Self::UnknownListing => "SES withholds mail that Leadlight would send",
            Self::ReleasedButListed => "Leadlight released it, and SES still withholds its mail",
            Self::UnknownSpelling => "SES lists it in a letter case that Leadlight does not know",
            Self::ListedTwice => "SES lists it twice, in different letter cases",
            Self::BlockedHereOnly => "Leadlight blocklists it, and SES would send",
        }
    }

    /// Why it matters.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::UnknownComplaint => {
                "The person reported spam. Until Leadlight knows, Check again could be offered to clear it."
            }
            Self::UnknownListing => {
                "The lead looks fine, and every message to it is accepted, counted and never delivered."
            }
            Self::ReleasedButListed => {
                "The lead was shown as cleared, and every message to it is accepted, counted and never delivered."
            }
            Self::UnknownSpelling => {
                "SES takes an address off its list only in the exact letter case: Check again would release it here alone."
            }
            Self::ListedTwice => {
                "The address stays withheld until every variant is off the list. One of them says the same."
            }
            Self::BlockedHereOnly => {
                "Harmless: nothing is sent past Leadlight. Causes such as a dead domain never reach SES's list."
            }
        }
    }

    /// What `--apply` does about it; `None` if there is nothing to repair.
    #[must_use]
    pub fn repair(self) -> Option<&'static str> {
        match self {
            Self::UnknownComplaint => {
                Some("record the complaint, on every lead that has or had the address")
            }
            Self::UnknownListing => Some(
                "record that SES withholds its mail: the lead turns red, and Check again clears both",
            ),
            Self::ReleasedButListed => Some("take it off SES's list"),
            Self::UnknownSpelling => Some("note the letter case, for Check again to use"),
            Self::ListedTwice => Some("take all but one off SES's list"),
            Self::BlockedHereOnly => None,
        }
    }
}

/// One address as both sides have it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Its key in our table.
    pub key: &'a AddressKey,
    /// SES's entries for it, on any list, in any letter case.
    pub entries: &'a [Entry],
    /// Our record of it.
    pub record: Option<&'a AddressRecord>,
}

/// What would bring both sides together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// What our record lacks.
    pub pieces: Vec<Piece>,
    /// SES's spellings that our record lacks.
    pub spellings: BTreeSet<String>,
    /// The entries that SES's lists have too many. They are taken off last.
    pub surplus: Vec<Entry>,
}

impl Repair {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.spellings.is_empty() && self.surplus.is_empty()
    }

    /// What is merged into the record of `address`.
    #[must_use]
    pub fn addition(&self, address: Address) -> AddressRecord {
        let addition = AddressRecord {
            spellings: self.spellings.clone(),
            evidence: self.pieces.iter().cloned().collect(),
            ..AddressRecord::new(address.clone())
        };
        // Merged rather than made, so that it is bounded like every record.
        AddressRecord::new(address).merge(addition)
    }
}

/// How both sides compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What we say of the address.
    pub assessment: Assessment,
    /// Where the sides differ; empty if they agree.
    pub differences: BTreeSet<Difference>,
    /// What would end that.
    pub repair: Repair,
}

/// What an entry is to our record.
enum Standing {
    /// We block the address as well.
    Known,
    /// We do not, and would if we knew the entry.
    Unknown,
    /// We have lifted what it stands for.
    Outlived,
}

/// Compares both sides of one address.
#[must_use]
pub fn compare(case: Case<'_>, policy: &Policy, now: Timestamp) -> Comparison {
    let empty = Evidence::default();
    let evidence = case.record.map_or(&empty, |record| &record.evidence);
    let assessment = assess(evidence, policy, now);
    let mut differences = BTreeSet::new();
    let mut repair = Repair::default();

    if case.entries.is_empty() && assessment.reason().is_some() {
        differences.insert(Difference::BlockedHereOnly);
    }
    let mut outlived: Vec<&Entry> = Vec::new();
    let mut staying: Vec<&Entry> = Vec::new();
    for entry in case.entries {
        let piece = entry.piece(case.key, now);
        match standing(entry, &piece, evidence, &assessment, policy, now) {
            Standing::Known => staying.push(entry),
            Standing::Outlived => outlived.push(entry),
            Standing::Unknown => {
                staying.push(entry);
                repair.pieces.push(piece);
                differences.insert(if entry.is_complaint {
                    Difference::UnknownComplaint
                } else {
                    Difference::UnknownListing
                });
            }
        }
    }
    // What is to be recorded blocks the address again: then SES's list may keep saying so.
    let is_released = repair.pieces.is_empty();
    if !is_released {
        staying.append(&mut outlived);
    }
    if !outlived.is_empty() {
        differences.insert(Difference::ReleasedButListed);
    }
    repair.surplus = outlived.into_iter().cloned().collect();

    let twins = twins(&staying);
    if !twins.is_empty() {
        differences.insert(Difference::ListedTwice);
    }
    let unknown: BTreeSet<String> = staying
        .iter()
        .filter(|entry| !twins.contains(*entry))
        .map(|entry| &entry.spelling)
        .filter(|spelling| !is_known(spelling, case.record))
        .cloned()
        .collect();
    if !unknown.is_empty() && is_released {
        differences.insert(Difference::UnknownSpelling);
    }
    repair.spellings = unknown;
    repair.surplus.extend(twins.into_iter().cloned());
    Comparison {
        assessment,
        differences,
        repair,
    }
}

fn standing(
    entry: &Entry,
    piece: &Piece,
    evidence: &Evidence,
    assessment: &Assessment,
    policy: &Policy,
    now: Timestamp,
) -> Standing {
    let merged = || {
        let merged = evidence.clone().merge([piece.clone()]);
        assess(&merged, policy, now).reason()
    };
    if is_complaint(assessment.reason()) {
        return Standing::Known;
    }
    if is_complaint(merged()) && !is_settled_by_support(evidence, entry, piece.at) {
        return Standing::Unknown;
    }
    if assessment.reason().is_some() {
        return Standing::Known;
    }
    if !entry.is_complaint && merged().is_some() {
        return Standing::Unknown;
    }
    Standing::Outlived
}

fn is_complaint(reason: Option<Reason>) -> bool {
    matches!(reason, Some(Reason::SpamComplaint(_)))
}

/// Whether support has lifted the complaint that an entry stands for since SES listed it. SES lists everybody who may have
/// complained, so that may be a complaint that we know as doubtful, and that support may lift.
fn is_settled_by_support(evidence: &Evidence, entry: &Entry, listed_at: Timestamp) -> bool {
    let source = entry.source.as_deref();
    let is_known = evidence.pieces().any(|piece| {
        let Fact::Complaint { report, .. } = &piece.fact else {
            return false;
        };
        let message = report.message.as_ref().map(|message| message.id.as_str());
        // A page of SES's list names no source; the entry itself does, and is looked at before anything is taken off.
        source.is_none_or(|source| piece.id.as_str().contains(source) || message == Some(source))
    });
    let is_lifted = evidence.pieces().any(|piece| {
        if let Fact::Release {
            authority: Authority::Support { .. },
            ..
        } = piece.fact
        {
            piece.at > listed_at
        } else {
            false
        }
    });
    is_known && is_lifted
}

/// The entries beside another one of the same list: all but one of each list. A complaint stays rather than a bounce, and the
/// spelling in lower case rather than another, as the one that is found first.
fn twins<'a>(entries: &[&'a Entry]) -> BTreeSet<&'a Entry> {
    let lists: BTreeSet<&List> = entries.iter().map(|entry| &entry.list).collect();
    let mut twins = BTreeSet::new();
    for list in lists {
        let mut variants: Vec<&Entry> = entries
            .iter()
            .copied()
            .filter(|entry| entry.list == *list)
            .collect();
        variants.sort_by_key(|entry| {
            let is_plain = !entry.spelling.contains(char::is_uppercase);
            (!entry.is_complaint, !is_plain, &entry.spelling)
        });
        twins.extend(variants.into_iter().skip(1));
    }
    twins
}

/// Whether Check again would ask SES for this spelling.
fn is_known(spelling: &str, record: Option<&AddressRecord>) -> bool {
    record.is_some_and(|record| {
        record.spellings.contains(spelling)
            || record.address.as_str() == spelling
            || record.address.key_form() == spelling
    })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use leadlight::evidence::{Attribution, BounceCause, Report, SuppressionList};
    use leadlight::lead::LeadId;
    use leadlight::verification::Verdict;

    use super::Difference::{
        BlockedHereOnly, ListedTwice, ReleasedButListed, UnknownComplaint, UnknownListing,
        UnknownSpelling,
    };
    use super::*;

    const ANN: &str = "ann@lead.example";

    /// What stands on a list: its spelling, whether for a complaint, and for how many days.
    type Row = (&'static str, bool, i64);
    /// How many pieces our record lacks, the spellings it lacks, and the spellings that SES's list has too many.
    type Expected = (usize, &'static [&'static str], &'static [&'static str]);

    fn days_ago(days: i64) -> Timestamp {
        now() - SignedDuration::from_hours(24 * days)
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn key() -> AddressKey {
        AddressKey::new("00ff".to_owned())
    }

    fn report() -> Report {
        Report {
            message: None,
            classification: "Permanent/General".to_owned(),
            status: None,
            diagnostic: None,
        }
    }

    fn piece(fact: Fact, days: i64) -> Piece {
        Piece::new(
            fact,
            &format!("day-{days}"),
            &key(),
            days_ago(days),
            days_ago(days),
        )
    }

    fn bounce(days: i64) -> Piece {
        let cause = BounceCause::Unspecified;
        let report = report();
        piece(Fact::HardBounce { cause, report }, days)
    }

    fn withheld(days: i64) -> Piece {
        let list = SuppressionList::Account;
        let report = report();
        piece(Fact::Withheld { list, report }, days)
    }

    fn complaint(attribution: Attribution, days: i64) -> Piece {
        let report = report();
        piece(
            Fact::Complaint {
                attribution,
                report,
            },
            days,
        )
    }

    fn verified(days: i64) -> Piece {
        let verdict = Verdict::Deliverable;
        piece(Fact::Verification { verdict }, days)
    }

    fn release(authority: Authority, days: i64) -> Piece {
        let lead = LeadId::parse("ann").unwrap();
        piece(Fact::Release { lead, authority }, days)
    }

    fn recheck(days: i64) -> Piece {
        release(Authority::Recheck, days)
    }

    fn support(with_consent: bool, days: i64) -> Piece {
        let actor = "sam".to_owned();
        release(
            Authority::Support {
                actor,
                with_consent,
            },
            days,
        )
    }

    fn record(pieces: Vec<Piece>) -> AddressRecord {
        AddressRecord {
            spellings: BTreeSet::from(["Ann@lead.example".to_owned()]),
            evidence: pieces.into_iter().collect(),
            ..AddressRecord::new(Address::parse(ANN).unwrap())
        }
    }

    fn entry(list: List, (spelling, is_complaint, days): Row) -> Entry {
        Entry {
            list,
            spelling: spelling.to_owned(),
            is_complaint,
            source: None,
            since: Some(days_ago(days)),
        }
    }

    #[track_caller]
    fn check(
        why: &str,
        account: &[Row],
        pieces: Vec<Piece>,
        differences: &[Difference],
        (recorded, noted, surplus): Expected,
    ) {
        let entries: Vec<Entry> = account
            .iter()
            .map(|row| entry(List::Account, *row))
            .collect();
        let record = record(pieces);
        let found = compare_with(&entries, Some(&record));
        assert_eq!(
            found.differences,
            differences.iter().copied().collect(),
            "{why}"
        );
        assert_eq!(found.repair.pieces.len(), recorded, "{why}");
        let spellings: Vec<&str> = found.repair.spellings.iter().map(String::as_str).collect();
        assert_eq!(spellings, noted, "{why}");
        let off: Vec<&str> = found
            .repair
            .surplus
            .iter()
            .map(|entry| entry.spelling.as_str())
            .collect();
        assert_eq!(off, surplus, "{why}");
        check_that_repair_ends_it(why, &entries, &record, &found.repair);
    }

    fn compare_with(entries: &[Entry], record: Option<&AddressRecord>) -> Comparison {
        let key = key();
        let case = Case {
            key: &key,
            entries,
            record,
        };
        compare(case, &Policy::default(), now())
    }

    /// Whatever a repair does, it leaves nothing to repair, and frees nobody whom either side has a reason to block.
    #[track_caller]
    fn check_that_repair_ends_it(
        why: &str,
        entries: &[Entry],
        record: &AddressRecord,
        repair: &Repair,
    ) {
        let merged = record
            .clone()
            .merge(repair.addition(record.address.clone()));
        let mut left = entries.to_vec();
        left.retain(|entry| !repair.surplus.contains(entry));
        let after = compare_with(&left, Some(&merged));
        assert!(after.repair.is_empty(), "{why}: {after:?}");
        let is_withheld = !left.is_empty();
        assert!(
            !is_withheld || after.assessment.reason().is_some(),
            "{why}: SES withholds what we would send"
        );
        let was_blocked = assess(&record.evidence, &Policy::default(), now()).reason();
        assert!(
            was_blocked.is_none() || after.assessment.reason().is_some(),
            "{why}: freed"
        );
    }

    const NOTHING: Expected = (0, &[], &[]);
    const BOUNCED: &[Row] = &[(ANN, false, 3)];
    const COMPLAINED: &[Row] = &[(ANN, true, 3)];

    #[test]
    fn agreement_needs_no_repair() {
        check(
            "neither side has anything",
            &[],
            vec![verified(9)],
            &[],
            NOTHING,
        );
        check("both withhold", BOUNCED, vec![bounce(3)], &[], NOTHING);
        check(
            "a newer bounce than the entry",
            BOUNCED,
            vec![bounce(1)],
            &[],
            NOTHING,
        );
        check(
            "both know of the complaint",
            COMPLAINED,
            vec![complaint(Attribution::Certain, 3)],
            &[],
            NOTHING,
        );
        check(
            "SES lists everybody who may have complained",
            COMPLAINED,
            vec![complaint(Attribution::Candidate, 3)],
            &[],
            NOTHING,
        );
        check(
            "a complaint here, a bounce there",
            BOUNCED,
            vec![complaint(Attribution::Certain, 1)],
            &[],
            NOTHING,
        );
    }

    #[test]
    fn a_listing_that_we_do_not_know_is_recorded() {
        check(
            "the bounce never reached us",
            BOUNCED,
            vec![verified(9)],
            &[UnknownListing],
            (1, &[], &[]),
        );
        check(
            "it was listed anew after the release",
            BOUNCED,
            vec![bounce(8), recheck(5)],
            &[UnknownListing],
            (1, &[], &[]),
        );
        check(
            "some soft bounces block nobody",
            BOUNCED,
            vec![piece(Fact::SoftBounce { report: report() }, 4)],
            &[UnknownListing],
            (1, &[], &[]),
        );
        check(
            "in a case that we do not know",
            &[("ANN@lead.example", false, 3)],
            vec![verified(9)],
            &[UnknownListing],
            (1, &["ANN@lead.example"], &[]),
        );
    }

    #[test]
    fn a_complaint_that_we_do_not_know_is_recorded_and_never_taken_off() {
        check(
            "the complaint never reached us",
            COMPLAINED,
            vec![verified(9)],
            &[UnknownComplaint],
            (1, &[], &[]),
        );
        check(
            "we know of a bounce only",
            COMPLAINED,
            vec![bounce(3)],
            &[UnknownComplaint],
            (1, &[], &[]),
        );
        check(
            "Check again lifts no complaint",
            COMPLAINED,
            vec![bounce(5), recheck(1)],
            &[UnknownComplaint],
            (1, &[], &[]),
        );
        check(
            "support without consent lifts no certain complaint",
            COMPLAINED,
            vec![support(false, 1)],
            &[UnknownComplaint],
            (1, &[], &[]),
        );
        check(
            "complained again after consent",
            COMPLAINED,
            vec![complaint(Attribution::Certain, 9), support(true, 5)],
            &[UnknownComplaint],
            (1, &[], &[]),
        );
        check(
            "behind a manual block",
            COMPLAINED,
            vec![piece(
                Fact::ManualBlock {
                    actor: "sam".to_owned(),
                },
                1,
            )],
            &[UnknownComplaint],
            (1, &[], &[]),
        );
    }

    #[test]
    fn what_we_released_is_taken_off() {
        check(
            "the release did not reach SES",
            BOUNCED,
            vec![bounce(3), recheck(1)],
            &[ReleasedButListed],
            (0, &[], &[ANN]),
        );
        check(
            "nor did support's",
            BOUNCED,
            vec![withheld(2), support(false, 1)],
            &[ReleasedButListed],
            (0, &[], &[ANN]),
        );
        check(
            "the recipient consented",
            COMPLAINED,
            vec![complaint(Attribution::Certain, 3), support(true, 1)],
            &[ReleasedButListed],
            (0, &[], &[ANN]),
        );
        check(
            "support lifted a doubtful complaint",
            COMPLAINED,
            vec![complaint(Attribution::Candidate, 3), support(false, 1)],
            &[ReleasedButListed],
            (0, &[], &[ANN]),
        );
        check(
            "released, and bounced again since",
            BOUNCED,
            vec![bounce(3), recheck(2), bounce(1)],
            &[],
            NOTHING,
        );
    }

    #[test]
    fn of_several_letter_cases_one_stays() {
        let twice: &[Row] = &[("Ann@lead.example", false, 4), (ANN, false, 3)];
        check(
            "twice, and blocked",
            twice,
            vec![bounce(3)],
            &[ListedTwice],
            (0, &[], &["Ann@lead.example"]),
        );
        check(
            "twice, and we knew nothing",
            twice,
            vec![verified(9)],
            &[UnknownListing, ListedTwice],
            (2, &[], &["Ann@lead.example"]),
        );
        check(
            "twice, and released",
            twice,
            vec![bounce(5), recheck(1)],
            &[ReleasedButListed],
            (0, &[], &["Ann@lead.example", ANN]),
        );
        let mixed: &[Row] = &[("ANN@LEAD.EXAMPLE", true, 4), (ANN, false, 3)];
        check(
            "the complaint stays",
            mixed,
            vec![complaint(Attribution::Certain, 4)],
            &[UnknownSpelling, ListedTwice],
            (0, &["ANN@LEAD.EXAMPLE"], &[ANN]),
        );
        check(
            "released between two listings",
            &[("Ann@lead.example", false, 8), (ANN, false, 1)],
            vec![recheck(5)],
            &[UnknownListing, ListedTwice],
            (1, &[], &["Ann@lead.example"]),
        );
        check(
            "agreed, in a case that we do not know",
            &[("aNN@lead.example", false, 3)],
            vec![bounce(3)],
            &[UnknownSpelling],
            (0, &["aNN@lead.example"], &[]),
        );

        check(
            "only we block it",
            &[],
            vec![bounce(3)],
            &[BlockedHereOnly],
            NOTHING,
        );
    }

    #[test]
    fn support_settles_no_complaint_that_it_never_saw() {
        let released = record(vec![
            complaint(Attribution::Candidate, 3),
            support(false, 1),
        ]);
        let listed = |source: &str| Entry {
            source: Some(source.to_owned()),
            ..entry(List::Account, (ANN, true, 3))
        };
        let same = compare_with(&[listed("day-3")], Some(&released));
        assert_eq!(same.differences, BTreeSet::from([ReleasedButListed]));
        let another = compare_with(&[listed("another")], Some(&released));
        assert_eq!(another.differences, BTreeSet::from([UnknownComplaint]));
        assert_eq!(another.repair.surplus, [], "it stays on SES's list");
    }

    #[test]
    fn the_same_address_may_stand_on_both_lists() {
        let tenant = || List::Tenant("acme".to_owned());
        let both = [
            entry(List::Account, (ANN, false, 3)),
            entry(tenant(), (ANN, false, 3)),
        ];
        let released = record(vec![bounce(3), release(Authority::Recheck, 1)]);
        let found = compare_with(&both, Some(&released));
        assert_eq!(found.repair.surplus, both, "one off each list");
        let agreed = compare_with(&both, Some(&record(vec![bounce(3)])));
        assert!(
            agreed.differences.is_empty(),
            "two lists are no variants: {agreed:?}"
        );
        let unknown = compare_with(&both[1..], None);
        assert_eq!(unknown.differences, BTreeSet::from([UnknownListing]));
        assert_eq!(
            unknown.repair.spellings,
            BTreeSet::from([ANN.to_owned()]),
            "a first record learns SES's spelling"
        );
    }
}
