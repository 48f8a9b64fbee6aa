//! How a person plays the name servers of the demo's domains: `GET` and `PUT /dns/zone`, for the demo's page.

use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::{Elsewhere, Fault, Zone, is_under, key};
use crate::gateway;

/// Where mail goes that a domain takes by a person's will.
const MAIL_HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 250);

/// How a domain stands to mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setup {
    /// It takes mail.
    TakesMail,
    /// It says that it takes none.
    NullMx,
    /// It exists, with neither mail servers nor an address.
    NoMailServer,
    /// It does not exist.
    NoSuchDomain,
    /// Its name server fails at the moment.
    Failing,
}

impl Zone {
    /// Sets a domain up so, whatever was known of it.
    #[must_use]
    pub fn set_up(self, domain: &str, setup: Setup) -> Self {
        let zone = self.without(domain).without(&format!("mx.{domain}"));
        match setup {
            Setup::TakesMail => zone.mail(domain, MAIL_HOST),
            Setup::NullMx => zone.null_mx(domain),
            Setup::NoMailServer => zone.empty(domain),
            Setup::NoSuchDomain => zone,
            Setup::Failing => zone.fault(domain, Fault::ServerFailure),
        }
    }

    /// How a domain stands to mail; `None` if other name servers are asked about it.
    #[must_use]
    pub fn setup(&self, domain: &str) -> Option<Setup> {
        let domain = key(domain);
        let is_elsewhere = match &self.elsewhere {
            Elsewhere::NoSuchDomain => false,
            Elsewhere::Unknown { apexes } | Elsewhere::Forward { apexes, .. } => {
                !is_under(apexes, &domain)
            }
        };
        if is_elsewhere {
            return None;
        }
        let Some(host) = self.hosts.get(&domain) else {
            return Some(if self.exists(&domain) {
                Setup::NoMailServer
            } else {
                Setup::NoSuchDomain
            });
        };
        let is_null = host.mail.iter().all(|(_, exchange)| exchange == ".");
        Some(match (host.fault, host.mail.as_slice()) {
            (Some(_), _) => Setup::Failing,
            (None, []) if host.addresses.is_empty() => Setup::NoMailServer,
            (None, [_, ..]) if is_null => Setup::NullMx,
            (None, _) => Setup::TakesMail,
        })
    }
}

/// A domain and how it is, or is to be, set up. Without a setup, other name servers are asked about it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Play {
    domain: String,
    setup: Option<Setup>,
}

#[derive(Deserialize)]
struct Asked {
    domain: String,
}

pub(super) fn router(state: &Arc<super::State>) -> Router {
    Router::new()
        .route("/dns/zone", get(read).put(change))
        .with_state(Arc::clone(state))
}

async fn read(
    State(state): State<Arc<super::State>>,
    Query(Asked { domain }): Query<Asked>,
) -> Json<Play> {
    let zone = state.zone.read().unwrap_or_else(PoisonError::into_inner);
    let setup = zone.setup(&domain);
    Json(Play { domain, setup })
}

async fn change(State(state): State<Arc<super::State>>, Json(play): Json<Play>) -> Response {
    let mut zone = state.zone.write().unwrap_or_else(PoisonError::into_inner);
    let is_ours = zone.setup(&play.domain).is_some();
    let Some(setup) = play.setup.filter(|_| is_ours) else {
        let detail = "only the demo's own domains can be set up";
        return gateway::problem(StatusCode::UNPROCESSABLE_ENTITY, "not-our-domain", detail);
    };
    *zone = std::mem::take(&mut *zone).set_up(&play.domain, setup);
    Json(play).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_up_is_what_is_read() {
        let mut zone = Zone::default().alone(&["example"]);
        for setup in [
            Setup::TakesMail,
            Setup::NullMx,
            Setup::NoMailServer,
            Setup::Failing,
            Setup::NoSuchDomain,
            Setup::TakesMail,
        ] {
            zone = zone.set_up("Shop.example", setup);
            assert_eq!(zone.setup("shop.example"), Some(setup));
        }
        assert_eq!(zone.setup("gmail.com"), None);
        let own = zone.host("bare.example", MAIL_HOST.into());
        assert_eq!(own.setup("bare.example"), Some(Setup::TakesMail));
    }
}
