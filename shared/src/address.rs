//! Email addresses: parsed once, normalised, and never printed by accident.
//!
//! An [`Address`] is a dot-atom local part (ASCII or EAI, RFC 6531) in NFC and a domain in its UTS-46 A-label form, within
//! the lengths of RFC 5321 section 4.5.3.1 (domain 253, whole 254 octets: RFC 3696 erratum 1690). Legal but unusual forms
//! (quoted, literal, comment) and names that are never in the public DNS are refused by name. This module never asks DNS;
//! `verification` judges what can be mailed.

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::MixedScript;

/// The most octets of an address, a path of 256 less its brackets (RFC 3696 erratum 1690).
pub const MAX_OCTETS: usize = 254;
/// The most octets of a local part by RFC 5321 section 4.5.3.1.1. Some servers accept more, so more is worth a warning only.
pub const MAX_LOCAL_PART_OCTETS: usize = 64;
/// The most octets of a label of a domain (RFC 1035 section 2.3.4).
const MAX_LABEL_OCTETS: usize = 63;
/// Top-level domains that are never in the public DNS: RFC 6761, 6762, 7686 and 9476, ICANN's `internal` (2024), and `arpa`, which is for
/// infrastructure (RFC 3172). Without `example`, which stands for real names wherever mail is explained or tried out, here too.
const RESERVED_TOP_LEVEL_DOMAINS: [&str; 8] = [
    "alt",
    "arpa",
    "internal",
    "invalid",
    "local",
    "localhost",
    "onion",
    "test",
];

/// A parsed, normalised email address. The letter case of the local part is kept; comparison is by [`Address::key_form`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: String,
    at: usize,
}

/// Why a text is not an address that can be kept. Positions count characters from 1 in the text without its outer blanks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no text.
    #[error("the address is empty")]
    Empty,
    /// A name with the address in angle brackets; the address inside is offered.
    #[error("the address is wrapped in a display name")]
    DisplayName {
        /// The address inside the brackets, if that is one.
        inner: Option<Address>,
    },
    /// A pasted `mailto:` link; the address inside is offered.
    #[error("the address is a mailto link")]
    MailtoLink {
        /// The address inside the link, if that is one.
        inner: Option<Address>,
    },
    /// No `@`.
    #[error("the address has no @")]
    MissingAt,
    /// A second `@`.
    #[error("the address has a second @ at position {position}")]
    SecondAt {
        /// Where the second `@` stands.
        position: usize,
    },
    /// Nothing before the `@`.
    #[error("there is nothing before the @")]
    EmptyLocalPart,
    /// Nothing after the `@`.
    #[error("there is nothing after the @")]
    EmptyDomain,
    /// A character that an address cannot hold.
    #[error("the address holds {} at position {position}", name_of(*character))]
    UnexpectedCharacter {
        /// The character.
        character: char,
        /// Where it stands.
        position: usize,
    },
    /// A dot at the start or end of a part, or two together.
    #[error("the address has a misplaced dot at position {position}")]
    MisplacedDot {
        /// Where the dot stands.
        position: usize,
    },
    /// A quoted local part: legal, but refused.
    #[error("addresses with a quoted part before the @ are not supported")]
    QuotedLocalPart,
    /// A comment in parentheses: legal, but refused.
    #[error("addresses with a comment are not supported")]
    Comment,
    /// A network address in square brackets as domain: legal, but refused.
    #[error("addresses at a network address in brackets are not supported")]
    DomainLiteral,
    /// A domain without a dot.
    #[error("the domain has no dot")]
    DotlessDomain,
    /// A domain that ends in digits only.
    #[error("the domain ends in a number")]
    NumericTopLevelDomain,
    /// A domain under a top-level domain that is never in the public DNS.
    #[error("the domain ends in a name that is reserved and takes no mail")]
    ReservedDomain,
    /// A hyphen at the start or end of a label of the domain, or at both its third and fourth place.
    #[error("the domain has a misplaced hyphen at position {position}")]
    MisplacedHyphen {
        /// Where the hyphen stands.
        position: usize,
    },
    /// A label that begins with `xn--` and stands for nothing.
    #[error("the domain holds an encoded part (xn--) that stands for nothing")]
    InvalidALabel,
    /// A label of more than 63 octets.
    #[error("a part of the domain has more than 63 octets")]
    LabelTooLong,
    /// A domain of more than 253 octets.
    #[error("the domain has {octets} octets, more than 253")]
    DomainTooLong {
        /// How many it has, as A-labels.
        octets: usize,
    },
    /// A domain that breaks the rules for host names (UTS 46, STD 3) in another way.
    #[error("the domain is not a valid host name")]
    InvalidDomain,
    /// More than [`MAX_OCTETS`].
    #[error("the address has {octets} octets, more than 254")]
    TooLong {
        /// How many it has, the domain in its A-label form where that is known.
        octets: usize,
    },
}

impl AddressError {
    /// The machine-readable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::DisplayName { .. } => "display_name",
            Self::MailtoLink { .. } => "mailto_link",
            Self::MissingAt => "missing_at",
            Self::SecondAt { .. } => "second_at",
            Self::EmptyLocalPart => "empty_local_part",
            Self::EmptyDomain => "empty_domain",
            Self::UnexpectedCharacter { .. } => "unexpected_character",
            Self::MisplacedDot { .. } => "misplaced_dot",
            Self::QuotedLocalPart => "quoted_local_part",
            Self::Comment => "comment",
            Self::DomainLiteral => "domain_literal",
            Self::DotlessDomain => "dotless_domain",
            Self::NumericTopLevelDomain => "numeric_top_level_domain",
            Self::ReservedDomain => "reserved_domain",
            Self::MisplacedHyphen { .. } => "misplaced_hyphen",
            Self::InvalidALabel => "invalid_a_label",
            Self::LabelTooLong => "label_too_long",
            Self::DomainTooLong { .. } => "domain_too_long",
            Self::InvalidDomain => "invalid_domain",
            Self::TooLong { .. } => "too_long",
        }
    }

    /// The address that was probably meant, where one was found inside the text.
    #[must_use]
    pub fn inner(&self) -> Option<&Address> {
        match self {
            Self::DisplayName { inner } | Self::MailtoLink { inner } => inner.as_ref(),
            Self::Empty
            | Self::MissingAt
            | Self::SecondAt { .. }
            | Self::EmptyLocalPart
            | Self::EmptyDomain
            | Self::UnexpectedCharacter { .. }
            | Self::MisplacedDot { .. }
            | Self::QuotedLocalPart
            | Self::Comment
            | Self::DomainLiteral
            | Self::DotlessDomain
            | Self::NumericTopLevelDomain
            | Self::ReservedDomain
            | Self::MisplacedHyphen { .. }
            | Self::InvalidALabel
            | Self::LabelTooLong
            | Self::DomainTooLong { .. }
            | Self::InvalidDomain
            | Self::TooLong { .. } => None,
        }
    }

    /// Whether the address is of a form that RFC 5321 allows and that is not supported here: then it is not to be called invalid.
    #[must_use]
    pub fn is_unusual_form(&self) -> bool {
        match self {
            Self::QuotedLocalPart | Self::Comment | Self::DomainLiteral => true,
            Self::Empty
            | Self::DisplayName { .. }
            | Self::MailtoLink { .. }
            | Self::MissingAt
            | Self::SecondAt { .. }
            | Self::EmptyLocalPart
            | Self::EmptyDomain
            | Self::UnexpectedCharacter { .. }
            | Self::MisplacedDot { .. }
            | Self::DotlessDomain
            | Self::NumericTopLevelDomain
            | Self::ReservedDomain
            | Self::MisplacedHyphen { .. }
            | Self::InvalidALabel
            | Self::LabelTooLong
            | Self::DomainTooLong { .. }
            | Self::InvalidDomain
            | Self::TooLong { .. } => false,
        }
    }

    /// Where the fault stands, if it is at one place.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::SecondAt { position }
            | Self::UnexpectedCharacter { position, .. }
            | Self::MisplacedDot { position }
            | Self::MisplacedHyphen { position } => Some(*position),
            Self::Empty
            | Self::DisplayName { .. }
            | Self::MailtoLink { .. }
            | Self::MissingAt
            | Self::EmptyLocalPart
            | Self::EmptyDomain
            | Self::QuotedLocalPart
            | Self::Comment
            | Self::DomainLiteral
            | Self::DotlessDomain
            | Self::NumericTopLevelDomain
            | Self::ReservedDomain
            | Self::InvalidALabel
            | Self::LabelTooLong
            | Self::DomainTooLong { .. }
            | Self::InvalidDomain
            | Self::TooLong { .. } => None,
        }
    }

    /// The character that an address cannot hold, if that is the fault.
    #[must_use]
    pub fn character(&self) -> Option<char> {
        if let Self::UnexpectedCharacter { character, .. } = self {
            Some(*character)
        } else {
            None
        }
    }
}

impl Address {
    /// Reads a bare address; outer blanks are dropped.
    ///
    /// # Errors
    /// Each rejection has its own reason. A display name or a `mailto:` link is an error that carries the address inside.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text
            .get(..7)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"))
        {
            let inner = text
                .get(7..)
                .and_then(|rest| rest.split('?').next())
                .unwrap_or_default();
            return Err(AddressError::MailtoLink {
                inner: Self::parse_bare(inner).ok(),
            });
        }
        if let Some(inner) = in_brackets(text) {
            return Err(AddressError::DisplayName {
                inner: Self::parse_bare(inner).ok(),
            });
        }
        Self::parse_bare(text)
    }

    /// Reads an address as mail headers and SES carry it: bare, in brackets, or behind a display name.
    ///
    /// # Errors
    /// As [`Address::parse`], but for the display name and the `mailto:` link, which are read through.
    pub fn parse_mailbox(text: &str) -> Result<Self, AddressError> {
        Self::parse(text).or_else(|error| error.inner().cloned().ok_or(error))
    }

    fn parse_bare(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        // An address of the greatest length has at most this many octets before normalisation (four a character).
        if text.len() > 4 * MAX_OCTETS {
            return Err(AddressError::TooLong { octets: text.len() });
        }
        if has_quoted_word(text) {
            return Err(AddressError::QuotedLocalPart);
        }
        if text
            .split_once('(')
            .is_some_and(|(_, rest)| rest.contains(')'))
        {
            return Err(AddressError::Comment);
        }
        let (local, domain) = text.split_once('@').ok_or_else(|| missing_at(text))?;
        let domain_position = local.chars().count() + 2;
        if domain.starts_with('[') && domain.ends_with(']') {
            return Err(AddressError::DomainLiteral);
        }
        if let Some((_, position)) = domain
            .chars()
            .zip(domain_position..)
            .find(|(c, _)| *c == '@')
        {
            return Err(AddressError::SecondAt { position });
        }
        let local = read_local_part(local)?;
        let domain = read_domain(domain, domain_position)?;
        let octets = local.len() + 1 + domain.len();
        if octets > MAX_OCTETS {
            return Err(AddressError::TooLong { octets });
        }
        Ok(Self {
            at: local.len(),
            text: [local.as_str(), "@", domain.as_ref()].concat(),
        })
    }

    /// The address: local part as written (in NFC), `@`, domain as A-labels in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The domain as A-labels in lower case, without a final dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// The form under which evidence is kept: without letter case. Mail is sent to [`Address::as_str`].
    #[must_use]
    pub fn key_form(&self) -> String {
        let local: String = self.local_part().to_lowercase().nfc().collect();
        [local.as_str(), "@", self.domain()].concat()
    }

    /// Whether both are the same mailbox for us: equal but for letter case.
    #[must_use]
    pub fn is_same_mailbox(&self, other: &Self) -> bool {
        self.key_form() == other.key_form()
    }

    /// The address for a person's eyes: the domain in its own letters. Where those mix scripts, and may look like others (UTS 39),
    /// the A-label form stands beside it.
    #[must_use]
    pub fn shown(&self) -> String {
        let domain = self.unicode_domain();
        let plain = [self.local_part(), "@", domain.as_ref()].concat();
        if domain.as_ref().is_single_script() {
            plain
        } else {
            [plain.as_str(), " (", self.domain(), ")"].concat()
        }
    }

    /// Whether a label of the domain mixes scripts, so that it may look like another.
    #[must_use]
    pub fn mixes_scripts(&self) -> bool {
        let domain = self.unicode_domain();
        domain.split('.').any(|label| !label.is_single_script())
    }

    fn unicode_domain(&self) -> Cow<'_, str> {
        let (domain, _) = Uts46::new().to_unicode(
            self.domain().as_bytes(),
            AsciiDenyList::EMPTY,
            Hyphens::Allow,
        );
        domain
    }

    /// Whether SES can send to it: SES has no SMTPUTF8, so the local part must be ASCII (SES API reference, `Destination`).
    #[must_use]
    pub fn is_sendable_by_ses(&self) -> bool {
        self.local_part().is_ascii()
    }
}

/// What stands between the last `<` and a final `>`.
fn in_brackets(text: &str) -> Option<&str> {
    text.strip_suffix('>')
        .and_then(|rest| rest.rsplit_once('<'))
        .map(|(_, inner)| inner)
}

/// Whether a word before the `@` is in quotes, as RFC 5322 section 3.2.4 allows.
fn has_quoted_word(text: &str) -> bool {
    let quoted = text.split_once('"').and_then(|(before, rest)| {
        let (_, after) = rest.rsplit_once('"')?;
        Some((before, after))
    });
    quoted.is_some_and(|(before, after)| {
        (before.is_empty() || before.ends_with('.')) && after.starts_with(['@', '.'])
    })
}

fn read_local_part(local: &str) -> Result<String, AddressError> {
    if local.is_empty() {
        return Err(AddressError::EmptyLocalPart);
    }
    check_local_part(local)?;
    Ok(local.nfc().collect())
}

fn check_local_part(local: &str) -> Result<(), AddressError> {
    check_dots(local, 1)?;
    if let Some(character) = local.chars().next().filter(|c| is_combining_mark(*c)) {
        // A mark without a letter under it joins whatever stands before the address.
        return Err(AddressError::UnexpectedCharacter {
            character,
            position: 1,
        });
    }
    match local
        .chars()
        .zip(1..)
        .find(|(c, _)| *c != '.' && !stays_local_part_character(*c))
    {
        Some((character, position)) => Err(AddressError::UnexpectedCharacter {
            character,
            position,
        }),
        None => Ok(()),
    }
}

/// Whether it is one, and what NFC makes of it too: a semicolon of U+037E.
fn stays_local_part_character(c: char) -> bool {
    is_local_part_character(c) && core::iter::once(c).nfc().all(is_local_part_character)
}

/// `atext` of RFC 5322 section 3.2.3, widened by RFC 6531 to what is not ASCII, less the invisible, the private and the drawn.
fn is_local_part_character(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    }
    let private = ('\u{e000}'..='\u{f8ff}').contains(&c)
        || c >= '\u{f0000}'
        || ('\u{fff0}'..='\u{ffff}').contains(&c)
        || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    !(is_invisible(c)
        || is_joiner(c)
        || is_drawn(c)
        || private
        || c.is_control()
        || c.is_whitespace())
}

/// The lines, blocks and shapes that tables in plain text are drawn with: they come along when one is copied.
fn is_drawn(c: char) -> bool {
    ('\u{2500}'..='\u{25ff}').contains(&c)
}

/// What has no width of its own, and comes along when text is copied.
fn is_invisible(c: char) -> bool {
    ['\u{ad}', '\u{200b}', '\u{200e}', '\u{200f}', '\u{feff}'].contains(&c)
        || ('\u{2028}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{206f}').contains(&c)
}

/// The zero-width joiners, which some scripts need: a domain may hold them where UTS 46 says so.
fn is_joiner(c: char) -> bool {
    c == '\u{200c}' || c == '\u{200d}'
}

/// The fault of a text without `@`: perhaps it has something that only looks like one.
fn missing_at(text: &str) -> AddressError {
    let lookalike = |(c, _): &(char, usize)| *c == '\u{ff20}' || *c == '\u{fe6b}';
    match text.chars().zip(1..).find(lookalike) {
        Some((character, position)) => AddressError::UnexpectedCharacter {
            character,
            position,
        },
        None => AddressError::MissingAt,
    }
}

/// A character by its name where it cannot be seen, or looks like another.
fn name_of(c: char) -> String {
    let name = match c {
        ' ' => return "a space".to_owned(),
        '\t' => return "a tab".to_owned(),
        '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => "a line break",
        '\u{a0}' | '\u{2007}' | '\u{202f}' => "a no-break space",
        '\u{ad}' => "a soft hyphen",
        '\u{200b}' => "a zero-width space",
        '\u{200c}' | '\u{200d}' => "a zero-width joiner",
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a mark of writing direction"
        }
        '\u{feff}' => "a byte-order mark",
        '\u{ff20}' => "a full-width ＠",
        '\u{fe6b}' => "a small ﹫",
        _ if c.is_control() => "a control character",
        _ if is_invisible(c) || c.is_whitespace() => "an invisible character",
        _ if c.is_ascii() => return format!("\u{201c}{c}\u{201d}"),
        _ => return format!("\u{201c}{c}\u{201d} (U+{:04X})", u32::from(c)),
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

fn check_dots(part: &str, first_position: usize) -> Result<(), AddressError> {
    let last = part.chars().count().saturating_sub(1);
    let mut before = '.';
    for (index, c) in part.chars().enumerate() {
        if c == '.' && (before == '.' || index == last) {
            return Err(AddressError::MisplacedDot {
                position: first_position + index,
            });
        }
        before = c;
    }
    Ok(())
}

fn read_domain(domain: &str, first_position: usize) -> Result<Cow<'_, str>, AddressError> {
    if domain.is_empty() {
        return Err(AddressError::EmptyDomain);
    }
    check_dots(domain, first_position)?;
    let odd = |c: &char| {
        c.is_whitespace()
            || c.is_control()
            || is_invisible(*c)
            || (c.is_ascii() && !c.is_ascii_alphanumeric() && !".-".contains(*c))
    };
    if let Some((character, position)) = domain.chars().zip(first_position..).find(|(c, _)| odd(c))
    {
        return Err(AddressError::UnexpectedCharacter {
            character,
            position,
        });
    }
    let a_labels = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::Check,
        DnsLength::Verify,
    );
    let domain = a_labels.map_err(|_| fault_of_domain(domain, first_position))?;
    let (_, top_level) = domain.rsplit_once('.').ok_or(AddressError::DotlessDomain)?;
    if top_level.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::NumericTopLevelDomain);
    }
    if RESERVED_TOP_LEVEL_DOMAINS.contains(&top_level) {
        return Err(AddressError::ReservedDomain);
    }
    Ok(domain)
}

/// Why UTS 46 refuses a domain.
fn fault_of_domain(domain: &str, first_position: usize) -> AddressError {
    let uts46 = Uts46::new();
    let is_refused = |c: &char| {
        !(c.is_ascii() || c.is_alphanumeric())
            && uts46
                .to_ascii(
                    format!("a{c}a").as_bytes(),
                    AsciiDenyList::STD3,
                    Hyphens::Allow,
                    DnsLength::Ignore,
                )
                .is_err()
    };
    let mut characters = domain.chars().zip(first_position..);
    if let Some((character, position)) = characters.find(|(c, _)| is_refused(c)) {
        return AddressError::UnexpectedCharacter {
            character,
            position,
        };
    }
    let mut label_position = first_position;
    for label in domain.split('.') {
        let length = label.chars().count();
        if label
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
        {
            if uts46
                .to_unicode(label.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow)
                .1
                .is_err()
            {
                return AddressError::InvalidALabel;
            }
        } else if label.starts_with('-') {
            return AddressError::MisplacedHyphen {
                position: label_position,
            };
        } else if label.ends_with('-') {
            return AddressError::MisplacedHyphen {
                position: label_position + length - 1,
            };
        } else if label.chars().skip(2).take(2).eq("--".chars()) {
            return AddressError::MisplacedHyphen {
                position: label_position + 2,
            };
        }
        label_position += length + 1;
    }
    let of_any_length = uts46.to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::Check,
        DnsLength::Ignore,
    );
    match of_any_length {
        Ok(domain)
            if domain
                .split('.')
                .any(|label| label.len() > MAX_LABEL_OCTETS) =>
        {
            AddressError::LabelTooLong
        }
        Ok(domain) => AddressError::DomainTooLong {
            octets: domain.len(),
        },
        Err(_) => AddressError::InvalidDomain,
    }
}

impl core::fmt::Debug for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Address(..)")
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.text
    }
}

/// The keyed hash of an address's [`Address::key_form`]: what stands in keys and logs where the address must not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddressKey(String);

impl AddressKey {
    /// Wraps a hash in hexadecimal.
    #[must_use]
    pub fn new(hash: String) -> Self {
        Self(hash)
    }

    /// The hash in hexadecimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for AddressKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}
