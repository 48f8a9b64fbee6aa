//! Looking at an address: [`Findings`] in, [`Verdict`] out.
//!
//! [`judge`] is pure; the network part that gathers findings lives with the functions. Only what can never change by waiting
//! is `Undeliverable`: a domain that does not exist, a null MX (RFC 7505), no mail host at all, only hosts that cannot be
//! reached from outside. A name server that hiccups makes an `Inconclusive`, which blocks nobody.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::address::{Address, MAX_LOCAL_PART_OCTETS};
use crate::codes::coded;

pub use blocklists::blocklist_key;
pub use lists::{free_mail, is_disposable, is_free_mail, is_relay};
pub use roles::{is_no_reply, is_role};
pub use slips::suggestion;

mod blocklists;
mod lists;
mod roles;
mod sentences;
mod slips;

coded! {
    /// Why an address cannot be delivered to.
    UndeliverableCause {
        /// The address breaks the rules of addresses, or is of a legal but unusual form that is not supported.
        BadSyntax = "bad_syntax",
        /// The part before the `@` is not ASCII: valid (RFC 6531), but SES cannot send to it.
        UnsendableLocalPart = "unsendable_local_part",
        /// The domain does not exist (NXDOMAIN).
        NoSuchDomain = "no_such_domain",
        /// The domain has neither mail servers nor an address of its own.
        NoMailServer = "no_mail_server",
        /// The domain says that it accepts no mail (null MX, RFC 7505).
        NullMx = "null_mx",
        /// The domain's mail servers have no address that can be reached from outside.
        UnreachableMailServer = "unreachable_mail_server",
        /// The domain gives out throwaway addresses, and the policy refuses those.
        Disposable = "disposable",
        /// The address is a role (`info@`), and the policy refuses those.
        Role = "role",
        /// The address says that nobody reads it (`noreply@`), and the policy refuses those.
        NoReply = "no_reply",
    }
}

coded! {
    /// What is worth knowing about an address that can be delivered to.
    Flag {
        /// The domain has no MX record; mail goes to its own address (RFC 5321 section 5.1).
        ImplicitMx = "implicit_mx",
        /// The domain gives out throwaway addresses.
        Disposable = "disposable",
        /// The address names a role, not a person.
        Role = "role",
        /// The address says that nobody reads it (`noreply@`).
        NoReply = "no_reply",
        /// A list warns of the domain: a legitimate one that is abused.
        ListedWithWarning = "listed_with_warning",
        /// The part before the `@` has more than 64 octets (RFC 5321 section 4.5.3.1.1), which some servers refuse.
        LongLocalPart = "long_local_part",
        /// A label of the domain mixes scripts (UTS 39), so that it may look like another.
        MixedScripts = "mixed_scripts",
    }
}

coded! {
    /// Why a verification found nothing out.
    InconclusiveCause {
        /// No name server answered in time.
        DnsTimeout = "dns_timeout",
        /// The name server answered with a failure of its own (SERVFAIL, REFUSED …).
        DnsFailure = "dns_failure",
        /// The name server's answer proves neither that there is a mail host nor that there is none.
        DnsUnclear = "dns_unclear",
    }
}

/// What DNS said about a domain's mail hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailHosts {
    /// At least one MX host has a public address.
    Mx,
    /// No MX record, but the domain itself has a public address.
    Implicit,
    /// The domain does not exist.
    NoSuchDomain,
    /// The domain exists, with neither MX nor address records.
    None,
    /// A single MX record with the root as its host.
    NullMx,
    /// MX hosts (or, without MX, the domain itself) with no address, or with none that is public.
    Unreachable,
    /// DNS could not be asked, or did not answer clearly.
    Unknown(InconclusiveCause),
}

impl MailHosts {
    /// The machine-readable code, without the cause of what is unknown.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Implicit => "implicit",
            Self::NoSuchDomain => "no_such_domain",
            Self::None => "none",
            Self::NullMx => "null_mx",
            Self::Unreachable => "unreachable",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What the blocklists of spammers said about the address and its domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// None of those that answered lists them.
    #[default]
    None,
    /// A list warns of the domain: a legitimate one that is abused (Spamhaus DBL 127.0.1.102 to 106). The person is no spammer.
    Warned {
        /// The list's name.
        list: String,
    },
    /// A list names the address or its domain as a spammer's.
    Spammer {
        /// The list's name.
        list: String,
    },
}

/// What a verification saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The domain's mail hosts.
    pub mail_hosts: MailHosts,
    /// What the blocklists said.
    pub listing: Listing,
    /// The names of the blocklists that could not be asked. They make no verdict inconclusive.
    pub unchecked: Vec<String>,
}

/// A verification of one address: what was seen, what it amounts to, and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// What was seen.
    pub findings: Findings,
    /// What it amounts to.
    pub verdict: Verdict,
    /// The address that was probably meant. To be offered, never to be taken without asking.
    pub suggestion: Option<Address>,
    /// Seconds after which asking again makes sense. Always there for an inconclusive verdict.
    pub retry_after_s: Option<u32>,
}

impl Verification {
    /// Concludes from what was seen of `address`. The time to ask again is the usual one of the cause; whoever knows a better one
    /// puts it in its place.
    #[must_use]
    pub fn new(address: &Address, findings: Findings) -> Self {
        let verdict = judge(address, &findings);
        Self {
            suggestion: suggestion(address, verdict.cannot_receive()),
            retry_after_s: verdict.inconclusive().map(InconclusiveCause::retry_after_s),
            findings,
            verdict,
        }
    }
}

impl InconclusiveCause {
    /// Seconds after which asking again makes sense where the answers do not tell. A server that failed may be remembered as
    /// failing for up to five minutes (RFC 2308 section 7); one that was merely slow is asked after one.
    #[must_use]
    pub fn retry_after_s(self) -> u32 {
        match self {
            Self::DnsTimeout => 60,
            Self::DnsFailure | Self::DnsUnclear => 300,
        }
    }
}

/// What a verification concluded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Syntax and domain passed. Whether the mailbox exists is not known.
    Deliverable,
    /// Deliverable, with something worth knowing.
    Risky {
        /// What is worth knowing; never empty.
        flags: BTreeSet<Flag>,
    },
    /// Cannot be delivered to, and waiting will not change that.
    Undeliverable {
        /// Why.
        cause: UndeliverableCause,
    },
    /// The domain or the address is listed as a spammer's.
    KnownSpammer {
        /// The list that says so.
        list: String,
    },
    /// Could not be found out now. Never recorded as evidence; blocks nobody and releases nobody.
    Inconclusive {
        /// Why.
        cause: InconclusiveCause,
    },
}

impl Verdict {
    /// Whether DNS proves that the domain can receive no mail.
    #[must_use]
    pub fn cannot_receive(&self) -> bool {
        match self {
            Self::Undeliverable { cause } => cause.is_of_domain(),
            Self::Deliverable
            | Self::Risky { .. }
            | Self::KnownSpammer { .. }
            | Self::Inconclusive { .. } => false,
        }
    }

    /// The cause, if nothing could be found out.
    #[must_use]
    pub fn inconclusive(&self) -> Option<InconclusiveCause> {
        match self {
            Self::Inconclusive { cause } => Some(*cause),
            Self::Deliverable
            | Self::Risky { .. }
            | Self::Undeliverable { .. }
            | Self::KnownSpammer { .. } => None,
        }
    }
}

impl UndeliverableCause {
    /// Whether it is one of the four permanent answers of DNS: the domain can receive no mail for anybody.
    #[must_use]
    pub fn is_of_domain(self) -> bool {
        match self {
            Self::NoSuchDomain
            | Self::NoMailServer
            | Self::NullMx
            | Self::UnreachableMailServer => true,
            Self::BadSyntax
            | Self::UnsendableLocalPart
            | Self::Disposable
            | Self::Role
            | Self::NoReply => false,
        }
    }
}

/// The verdict on `address`, given what was seen of it. What the address itself tells is found here, from lists that are
/// compiled in.
#[must_use]
pub fn judge(address: &Address, findings: &Findings) -> Verdict {
    let undeliverable = |cause| Verdict::Undeliverable { cause };
    if !address.is_sendable_by_ses() {
        return undeliverable(UndeliverableCause::UnsendableLocalPart);
    }
    let mut flags = BTreeSet::new();
    match &findings.listing {
        Listing::Spammer { list } => return Verdict::KnownSpammer { list: list.clone() },
        Listing::Warned { .. } => {
            flags.insert(Flag::ListedWithWarning);
        }
        Listing::None => {}
    }
    match findings.mail_hosts {
        MailHosts::Mx => {}
        MailHosts::Implicit => {
            flags.insert(Flag::ImplicitMx);
        }
        MailHosts::NoSuchDomain => return undeliverable(UndeliverableCause::NoSuchDomain),
        MailHosts::None => return undeliverable(UndeliverableCause::NoMailServer),
        MailHosts::NullMx => return undeliverable(UndeliverableCause::NullMx),
        MailHosts::Unreachable => return undeliverable(UndeliverableCause::UnreachableMailServer),
        MailHosts::Unknown(cause) => return Verdict::Inconclusive { cause },
    }
    if is_disposable(address.domain()) {
        flags.insert(Flag::Disposable);
    }
    if is_no_reply(address) {
        flags.insert(Flag::NoReply);
    } else if is_role(address) {
        flags.insert(Flag::Role);
    }
    if address.local_part().len() > MAX_LOCAL_PART_OCTETS {
        flags.insert(Flag::LongLocalPart);
    }
    if address.mixes_scripts() {
        flags.insert(Flag::MixedScripts);
    }
    if flags.is_empty() {
        Verdict::Deliverable
    } else {
        Verdict::Risky { flags }
    }
}
