//! How blocklists of spammers are asked about an address.

use crate::address::Address;

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
