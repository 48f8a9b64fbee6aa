//! What the demo begins with: its domains, its leads, and what has already happened to some of them.
//!
//! Every domain is below `.example` (RFC 2606) and every address of a mail server from RFC 5737, so nothing here can be anybody's.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use jiff::Timestamp;
use leadlight::lead::{LeadId, Standing};

use crate::crm::{Contact, Crm};
use crate::dns::{Fault, Zone};
use crate::queue::Queue;
use crate::ses::{Outcome, SIMULATOR, Ses};

/// The names that the demo's zone answers for.
pub const APEXES: [&str; 2] = ["example", SIMULATOR];

/// Domains of companies that take mail.
const COMPANIES: [&str; 8] = [
    "harbour.example",
    "larkspur.example",
    "meridian-freight.example",
    "pinecrest-dental.example",
    "bluefin-foods.example",
    "copperleaf.example",
    "tidewater.example",
    "alder-finch.example",
];

/// The demo's domains: most take mail, and one each misbehaves in the ways that a verification can meet.
#[must_use]
pub fn zone() -> Zone {
    let zone = (1..)
        .zip(COMPANIES)
        .fold(Zone::default(), |zone, (n, domain)| {
            zone.mail(domain, Ipv4Addr::new(192, 0, 2, n))
        });
    zone.mail(SIMULATOR, Ipv4Addr::new(198, 51, 100, 1))
        // Takes mail at its own address, without an MX record.
        .host(
            "oakline-homes.example",
            Ipv4Addr::new(203, 0, 113, 9).into(),
        )
        // Says that it takes no mail.
        .null_mx("parked.example")
        // Has a name and nothing else.
        .empty("brochure.example")
        // Cannot be asked at the moment.
        .fault("flaky.example", Fault::ServerFailure)
        .alone(&APEXES)
}

/// A lead of the demo, and what its mail met before the visitor came.
struct Seed {
    id: &'static str,
    name: &'static str,
    company: &'static str,
    address: &'static str,
    standing: Standing,
    outcome: Option<Outcome>,
}

const fn active(
    id: &'static str,
    name: &'static str,
    company: &'static str,
    address: &'static str,
) -> Seed {
    Seed {
        id,
        name,
        company,
        address,
        standing: Standing::Active,
        outcome: None,
    }
}

const SEEDS: [Seed; 14] = [
    active(
        "ann-lee",
        "Ann Lee",
        "Larkspur Studio",
        "ann.lee@larkspur.example",
    ),
    active(
        "ben-okafor",
        "Ben Okafor",
        "Meridian Freight",
        "ben.okafor@meridian-freight.example",
    ),
    Seed {
        outcome: Some(Outcome::HardBounce),
        ..active(
            "carla-mendes",
            "Carla Mendes",
            "Pinecrest Dental",
            "carla.mendez@pinecrest-dental.example",
        )
    },
    active(
        "dmitri-volkov",
        "Dmitri Volkov",
        "Bluefin Foods",
        "d.volkov@bluefin-foods.example",
    ),
    Seed {
        outcome: Some(Outcome::Complaint),
        ..active(
            "elif-kaya",
            "Elif Kaya",
            "Copperleaf Ltd",
            "elif@copperleaf.example",
        )
    },
    active(
        "farah-nasser",
        "Farah Nasser",
        "Tidewater Legal",
        "farah.nasser@tidewater.example",
    ),
    Seed {
        outcome: Some(Outcome::HardBounceGeneral),
        ..active(
            "george-pratt",
            "George Pratt",
            "Alder & Finch",
            "george@alder-finch.example",
        )
    },
    Seed {
        outcome: Some(Outcome::MailboxFull),
        ..active(
            "hana-sato",
            "Hana Sato",
            "Larkspur Studio",
            "hana.sato@larkspur.example",
        )
    },
    Seed {
        standing: Standing::Unsubscribed,
        ..active(
            "ivan-horvat",
            "Ivan Horvat",
            "Meridian Freight",
            "ivan.horvat@meridian-freight.example",
        )
    },
    Seed {
        standing: Standing::Unconfirmed,
        ..active(
            "julia-brandt",
            "Julia Brandt",
            "Oakline Homes",
            "julia@oakline-homes.example",
        )
    },
    // A slip of the keyboard: nobody has registered this domain.
    active(
        "kofi-mensah",
        "Kofi Mensah",
        "Larkspur Studio",
        "kofi.mensah@larkspr.example",
    ),
    active(
        "lucia-romano",
        "Lucia Romano",
        "Tidewater Legal",
        "lucia.romano@tidewater.example",
    ),
    active(
        "milo-jensen",
        "Milo Jensen",
        "Bluefin Foods",
        "milo@bluefin-foods.example",
    ),
    active(
        "nadia-rahman",
        "Nadia Rahman",
        "Pinecrest Dental",
        "nadia.rahman@pinecrest-dental.example",
    ),
];

/// Fills an empty CRM, and lets happen what has already happened.
///
/// # Errors
/// When Leadlight or SES refuse their part.
pub async fn seed(crm: &Crm, ses: &Ses, queue: &Queue, now: Timestamp) -> anyhow::Result<()> {
    for seed in &SEEDS {
        let contact = Contact {
            id: LeadId::parse(seed.id).context("read a lead's id")?,
            name: seed.name.to_owned(),
            company: seed.company.to_owned(),
            address: seed.address.to_owned(),
            standing: seed.standing,
            changed_at: now,
        };
        crm.add(contact.clone()).await?;
        if let Some(outcome) = seed.outcome {
            ses.script(seed.address, outcome)?;
            crm.send_unchecked(
                &contact,
                "Welcome to Harbour",
                "Thank you for your interest.",
            )
            .await?;
        }
    }
    queue.drained().await
}
