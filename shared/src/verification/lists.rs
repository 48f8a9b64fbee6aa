//! What the lists of domains in `lists/` say, compiled in. Their sources, dates and licences stand beside them.

// Defines `DISPOSABLE`, `FREE_MAIL` and `RELAYS`, each sorted.
include!(concat!(env!("OUT_DIR"), "/lists.rs"));

/// Whether `domain`, or a domain above it, gives out throwaway addresses. The nearest that is listed decides, so that a relay stays one
/// below a listed domain, and the other way round.
#[must_use]
pub fn is_disposable(domain: &str) -> bool {
    let listed = |name: &&str| is_in(&RELAYS, name) || is_in(&DISPOSABLE, name);
    with_parents(domain)
        .find(listed)
        .is_some_and(|name| !is_in(&RELAYS, name))
}

/// Whether `domain` is a service that forwards mail to a real mailbox (relay, alias).
#[must_use]
pub fn is_relay(domain: &str) -> bool {
    with_parents(domain).any(|name| is_in(&RELAYS, name))
}

/// Whether anybody can have an address at `domain`, so that what a list says of the domain says nothing about the person.
#[must_use]
pub fn is_free_mail(domain: &str) -> bool {
    is_in(&FREE_MAIL, domain) || is_relay(domain)
}

/// Every domain that [`is_free_mail`] is true of, relays' subdomains aside.
pub fn free_mail() -> impl Iterator<Item = &'static str> {
    FREE_MAIL.iter().chain(&RELAYS).copied()
}

fn is_in(table: &[&str], domain: &str) -> bool {
    table.binary_search(&domain).is_ok()
}

/// A domain, then what is left of it label by label.
fn with_parents(domain: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(Some(domain), |name| {
        name.split_once('.').map(|(_, parent)| parent)
    })
}
