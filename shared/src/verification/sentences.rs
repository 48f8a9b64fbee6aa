//! One plain sentence of English for every outcome of a verification. Other languages have their own catalogue, by the same codes.

use super::{Flag, InconclusiveCause, UndeliverableCause, Verdict};
use crate::address::{Address, AddressError};

impl Verdict {
    /// The verdict in one sentence, where `meant` is the address that was probably meant. Squatters of misspelled domains take mail, so
    /// that a slip is the first thing to say of an address that can be sent to.
    #[must_use]
    pub fn sentence(&self, meant: Option<&Address>) -> String {
        match (self, meant) {
            (Self::Deliverable | Self::Risky { .. }, Some(meant)) => format!(
                "Mail can be sent to the address, but {} was probably meant.",
                meant.as_str()
            ),
            (Self::Deliverable, None) => {
                "The address is well formed and its domain takes mail.".to_owned()
            }
            (Self::Risky { flags }, None) => {
                let notes: Vec<&str> = flags.iter().map(|flag| flag.note()).collect();
                format!("Mail can be sent to the address, but {}.", notes.join("; "))
            }
            (Self::Undeliverable { cause }, _) => cause.sentence().to_owned(),
            (Self::KnownSpammer { list }, _) => {
                format!("The address or its domain is on {list}, a list of known spammers.")
            }
            (Self::Inconclusive { cause }, _) => cause.sentence().to_owned(),
        }
    }
}

impl UndeliverableCause {
    fn sentence(self) -> &'static str {
        match self {
            Self::BadSyntax => "The address is not one that mail can be sent to.",
            Self::UnsendableLocalPart => {
                "The address is valid, but Amazon SES cannot send to it: the part before the @ is not plain ASCII."
            }
            Self::NoSuchDomain => "The domain of the address does not exist.",
            Self::NoMailServer => "The domain of the address has no mail server.",
            Self::NullMx => "The domain of the address declares that it accepts no mail.",
            Self::UnreachableMailServer => {
                "The mail servers of the domain cannot be reached from outside its own network."
            }
            Self::Disposable => {
                "The address is a throwaway one, which the account does not send to."
            }
            Self::Role => {
                "The address names a role, not a person, which the account does not send to."
            }
            Self::NoReply => "The address says that nobody reads it.",
        }
    }
}

impl InconclusiveCause {
    fn sentence(self) -> &'static str {
        match self {
            Self::DnsTimeout => {
                "The address could not be checked now: the name servers of its domain did not answer in time."
            }
            Self::DnsFailure => {
                "The address could not be checked now: the name servers of its domain report a failure of their own."
            }
            Self::DnsUnclear => {
                "The address could not be checked now: what the name servers of its domain answer proves nothing."
            }
        }
    }
}

impl Flag {
    /// What is worth knowing, to stand after "but".
    fn note(self) -> &'static str {
        match self {
            Self::ImplicitMx => {
                "its domain names no mail server, so that mail goes to the domain itself"
            }
            Self::Disposable => "its domain gives out throwaway addresses",
            Self::Role => "it names a role, not a person",
            Self::NoReply => "it says that nobody reads it",
            Self::ListedWithWarning => {
                "its domain is listed as a legitimate one that is being abused"
            }
            Self::LongLocalPart => {
                "the part before the @ is longer than the 64 octets that every server takes"
            }
            Self::MixedScripts => {
                "its domain mixes letters of several scripts, which may look like another name"
            }
        }
    }
}

impl AddressError {
    /// What is wrong, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.inner().is_some() {
            "The text holds an address and more: take the address alone.".to_owned()
        } else if self.is_unusual_form() {
            format!("The address is of a legal but unusual form: {self}.")
        } else {
            format!("This is not an email address that can be used: {self}.")
        }
    }
}
