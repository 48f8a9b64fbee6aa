//! Looking at an address: [`Findings`] in, [`Verdict`] out.
//!
//! [`judge`] is pure; the network part that gathers findings lives with the functions. Only what can never change by waiting
//! is `Undeliverable`: a domain that does not exist, a null MX (RFC 7505), no mail host at all, only hosts that cannot be
//! reached from outside. A name server that hiccups makes an `Inconclusive`, which blocks nobody.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::codes::coded;

coded! {
    /// Why an address cannot be delivered to.
    UndeliverableCause {
        /// The address breaks the rules of addresses, or is of a form that SES cannot send to.
        BadSyntax = "bad_syntax",
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

/// What a verification saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The domain's mail hosts.
    pub mail_hosts: MailHosts,
}

/// What a verification concluded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// The verdict on `address`, given what was seen of it.
#[must_use]
pub fn judge(address: &Address, findings: Findings) -> Verdict {
    if !address.is_sendable_by_ses() {
        return Verdict::Undeliverable {
            cause: UndeliverableCause::BadSyntax,
        };
    }
    let undeliverable = |cause| Verdict::Undeliverable { cause };
    match findings.mail_hosts {
        MailHosts::Mx => Verdict::Deliverable,
        MailHosts::Implicit => Verdict::Risky {
            flags: BTreeSet::from([Flag::ImplicitMx]),
        },
        MailHosts::NoSuchDomain => undeliverable(UndeliverableCause::NoSuchDomain),
        MailHosts::None => undeliverable(UndeliverableCause::NoMailServer),
        MailHosts::NullMx => undeliverable(UndeliverableCause::NullMx),
        MailHosts::Unreachable => undeliverable(UndeliverableCause::UnreachableMailServer),
        MailHosts::Unknown(cause) => Verdict::Inconclusive { cause },
    }
}
