//! Slips of the finger in a domain: which provider was probably meant.
//!
//! A suggestion is a question to a person. It corrects nothing by itself and says nothing about the verdict; what is a provider's own
//! domain is never questioned, and what DNS knows is questioned only where the slip is one.

use strsim::osa_distance;

use super::lists::is_free_mail;
use crate::address::Address;

/// The domains that slips are measured against, the most used first: at equal distance the likelier one is meant.
static PROVIDERS: &[&str] = &[
    "gmail.com",
    "hotmail.com",
    "yahoo.com",
    "outlook.com",
    "icloud.com",
    "aol.com",
    "live.com",
    "msn.com",
    "qq.com",
    "163.com",
    "126.com",
    "mail.ru",
    "yandex.ru",
    "googlemail.com",
    "protonmail.com",
    "proton.me",
    "fastmail.com",
    "mail.com",
    "gmx.de",
    "web.de",
    "t-online.de",
    "gmx.net",
    "gmx.com",
    "gmx.at",
    "freenet.de",
    "hotmail.de",
    "yahoo.de",
    "yahoo.co.uk",
    "hotmail.co.uk",
    "live.co.uk",
    "btinternet.com",
    "sky.com",
    "ntlworld.com",
    "virginmedia.com",
    "comcast.net",
    "verizon.net",
    "att.net",
    "sbcglobal.net",
    "bellsouth.net",
    "cox.net",
    "charter.net",
    "earthlink.net",
    "optonline.net",
    "orange.fr",
    "wanadoo.fr",
    "free.fr",
    "sfr.fr",
    "laposte.net",
    "hotmail.fr",
    "yahoo.fr",
    "libero.it",
    "virgilio.it",
    "alice.it",
    "hotmail.it",
    "hotmail.es",
    "yahoo.es",
    "yahoo.com.br",
    "uol.com.br",
    "bol.com.br",
    "terra.com.br",
    "yahoo.co.in",
    "rediffmail.com",
    "yahoo.co.jp",
    "naver.com",
    "bigpond.com",
    "bluewin.ch",
    "abv.bg",
];

/// A name of at most so many letters has too many honest neighbours (`aol.com`, `aon.com`) to be meant by one of them that exists.
const SHORT_NAME: usize = 4;

/// Endings that exist nowhere, and what was meant.
static ENDINGS: &[(&str, &str)] = &[
    (".cim", ".com"),
    (".cmo", ".com"),
    (".coim", ".com"),
    (".comm", ".com"),
    (".con", ".com"),
    (".conm", ".com"),
    (".coom", ".com"),
    (".copm", ".com"),
    (".couk", ".co.uk"),
    (".cpm", ".com"),
    (".nte", ".net"),
    (".ogr", ".org"),
    (".orgg", ".org"),
    (".ocm", ".com"),
    (".vom", ".com"),
    (".xom", ".com"),
];

/// The address that was probably meant, if its domain looks like a slip.
///
/// A provider's domain one slip away, or two where DNS says that the domain as written `cannot_receive` any mail; or the same
/// name under an ending that exists. Never anything for a domain that is a provider's itself.
#[must_use]
pub fn suggestion(address: &Address, cannot_receive: bool) -> Option<Address> {
    let written = address.domain();
    let ended = ENDINGS.iter().find_map(|(wrong, right)| {
        written
            .strip_suffix(wrong)
            .map(|name| [name, right].concat())
    });
    let domain = ended.as_deref().unwrap_or(written);
    let provider = if is_free_mail(domain) {
        None
    } else {
        nearest_provider(domain, cannot_receive)
    };
    let meant = provider.or(ended.as_deref())?;
    Address::parse(&[address.local_part(), "@", meant].concat()).ok()
}

fn nearest_provider(domain: &str, cannot_receive: bool) -> Option<&'static str> {
    let near = |provider: &&'static str| {
        let name = provider.split('.').next().unwrap_or_default();
        let most_slips = match (name.len() <= SHORT_NAME, cannot_receive) {
            (true, false) => 0,
            (true, true) | (false, false) => 1,
            (false, true) => 2,
        };
        let slips = osa_distance(domain, provider);
        (slips <= most_slips).then_some((slips, *provider))
    };
    // The first of the nearest.
    PROVIDERS
        .iter()
        .filter_map(near)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, provider)| provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_on_the_list_of_those_that_are_never_questioned() {
        for provider in PROVIDERS {
            assert!(is_free_mail(provider), "{provider}");
        }
    }
}
