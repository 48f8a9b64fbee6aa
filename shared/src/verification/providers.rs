//! The providers that people have their mail with: whose domain was probably meant, and which domains belong to nobody alone.
//!
//! A suggestion is a question to a person. It corrects nothing by itself and says nothing about the verdict.

use strsim::osa_distance;

use crate::address::Address;

/// The domains that slips are measured against: those that most private addresses are at.
static PROVIDERS: [&str; 60] = [
    "126.com",
    "163.com",
    "abv.bg",
    "alice.it",
    "aol.com",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bluewin.ch",
    "bol.com.br",
    "btinternet.com",
    "charter.net",
    "comcast.net",
    "cox.net",
    "earthlink.net",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "gmx.at",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.es",
    "hotmail.fr",
    "hotmail.it",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.co.uk",
    "live.com",
    "mail.com",
    "mail.ru",
    "naver.com",
    "optonline.net",
    "orange.fr",
    "outlook.com",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "sbcglobal.net",
    "sfr.fr",
    "sky.com",
    "t-online.de",
    "uol.com.br",
    "verizon.net",
    "wanadoo.fr",
    "web.de",
    "yahoo.co.in",
    "yahoo.co.jp",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.de",
    "yahoo.fr",
    "yandex.ru",
];

/// Whether anybody can have an address at `domain`, so that what a list says of the domain says nothing about the person.
#[must_use]
pub fn is_free_mail(domain: &str) -> bool {
    PROVIDERS.contains(&domain)
}

/// The address that was probably meant: a provider's domain one slip away, or two where DNS says that the domain as written
/// `cannot_receive` any mail. Never for a domain that is a provider's itself.
#[must_use]
pub fn suggestion(address: &Address, cannot_receive: bool) -> Option<Address> {
    let domain = address.domain();
    if is_free_mail(domain) {
        return None;
    }
    let most_slips = if cannot_receive { 2 } else { 1 };
    let (_, meant) = PROVIDERS
        .iter()
        .map(|provider| (osa_distance(domain, provider), provider))
        .filter(|(slips, _)| *slips <= most_slips)
        .min_by_key(|(slips, _)| *slips)?;
    Address::parse(&[address.local_part(), "@", meant].concat()).ok()
}

/// The canonical form under which blocklists of addresses keep one: in lower case, without a `+` tag, and for Gmail without dots
/// and with its one domain (as the MSBL's EBL is built, msbl.org/ebl-design).
#[must_use]
pub fn blocklist_key(address: &Address) -> String {
    let local = address.local_part().to_lowercase();
    let local = local
        .split_once('+')
        .filter(|(untagged, _)| !untagged.is_empty())
        .map_or(local.as_str(), |(untagged, _)| untagged);
    match address.domain() {
        "gmail.com" | "googlemail.com" => [local.replace('.', "").as_str(), "@gmail.com"].concat(),
        domain => [local, "@", domain].concat(),
    }
}
