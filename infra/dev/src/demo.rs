//! What the demo begins with: its domains, its leads, and what has already happened to some of them.
//!
//! But for those that stand in for real ones without a network, every domain is below `.example` (RFC 2606) and every address of a mail server from RFC 5737, so nothing here can be anybody's.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use leadlight::lead::{LeadId, Standing};

use crate::crm::{Contact, Crm};
use crate::dns::{Fault, Zone};
use crate::queue::Queue;
use crate::ses::{Outcome, SIMULATOR, Ses};

/// The names that the demo's zone answers for, whoever else can be asked.
const APEXES: [&str; 2] = ["example", SIMULATOR];
/// Real names that the demo's story needs, for when nobody else can be asked: a provider, and the slip that others live on.
const STAND_INS: [&str; 2] = ["gmail.com", "gmial.com"];

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

/// The demo's domains, and nothing beyond them but what its story needs.
#[must_use]
pub fn zone() -> Zone {
    let [example, simulator] = APEXES;
    let [provider, slip] = STAND_INS;
    STAND_INS
        .into_iter()
        .fold(domains(), |zone, domain| {
            zone.mail(domain, Ipv4Addr::new(203, 0, 113, 25))
        })
        .alone(&[example, simulator, provider, slip])
}

/// The demo's domains; about others `servers` are asked.
#[must_use]
pub fn zone_among(servers: Vec<SocketAddr>) -> Zone {
    domains().forwarding(&APEXES, servers)
}

/// Most take mail, and one each misbehaves in the ways that a verification can meet.
fn domains() -> Zone {
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

/// The subject and the text of the message that the demo's leads have had.
const WELCOME: (&str, &str) = ("Welcome to Harbour", "Thank you for your interest.");

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
            crm.send_unchecked(&contact, WELCOME.0, WELCOME.1).await?;
        }
    }
    queue.drained().await
}

/// How many people the demo CRM holds, those of the story included.
pub const PEOPLE: usize = 1_000;

const FIRST_NAMES: [&str; 40] = [
    "Amara", "Björn", "Chiara", "Daniel", "Esther", "Felipe", "Grace", "Henrik", "Ines", "Jamal",
    "Katja", "Liam", "Mariam", "Nils", "Olga", "Pedro", "Qing", "Rosa", "Samir", "Tomas", "Uma",
    "Victor", "Wanda", "Xavier", "Yuki", "Zoe", "Anton", "Bela", "Clara", "Dario", "Emil", "Fatou",
    "Goran", "Helga", "Ivo", "Jana", "Kamil", "Lena", "Mateo", "Noor",
];

const LAST_NAMES: [&str; 50] = [
    "Abbott",
    "Bianchi",
    "Carvalho",
    "Diallo",
    "Eriksen",
    "Fischer",
    "Gupta",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nguyen",
    "Oduya",
    "Petrov",
    "Quinn",
    "Ricci",
    "Santos",
    "Takahashi",
    "Ueda",
    "Varga",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zeman",
    "Adeyemi",
    "Brandt",
    "Castro",
    "Dubois",
    "Evans",
    "Ferrari",
    "Greene",
    "Hoffmann",
    "Ivanov",
    "Jovanovic",
    "Kim",
    "Larsen",
    "Mbeki",
    "Novak",
    "Ortega",
    "Park",
    "Reyes",
    "Schmidt",
    "Tanaka",
    "Vidal",
    "Walsh",
    "Young",
    "Zhou",
    "Keita",
];

/// Companies and their domains.
const EMPLOYERS: [(&str, &str); 7] = [
    ("Larkspur Studio", "larkspur.example"),
    ("Meridian Freight", "meridian-freight.example"),
    ("Pinecrest Dental", "pinecrest-dental.example"),
    ("Bluefin Foods", "bluefin-foods.example"),
    ("Copperleaf Ltd", "copperleaf.example"),
    ("Tidewater Legal", "tidewater.example"),
    ("Alder & Finch", "alder-finch.example"),
];

/// The people of the CRM beside those of the story, and what their mail met. The same at every start, but for the time.
fn crowd(size: usize, now: Timestamp) -> anyhow::Result<Vec<(Contact, Option<Outcome>)>> {
    let mut crowd = Vec::with_capacity(size);
    for place in 0..size {
        // No two of 2,000 have the same name: 41 and 50 have no common factor.
        let first = nth(&FIRST_NAMES, place)?;
        let last = nth(&LAST_NAMES, place / FIRST_NAMES.len() + place)?;
        let (company, domain) = nth(&EMPLOYERS, place * 3 + place / EMPLOYERS.len())?;
        let (standing, outcome, domain) = match place % 100 {
            3 | 28 | 53 | 78 => (Standing::Unsubscribed, None, domain),
            7 | 47 => (Standing::Unconfirmed, None, domain),
            11 | 61 => (Standing::Active, Some(Outcome::HardBounce), domain),
            23 => (Standing::Active, Some(Outcome::HardBounceGeneral), domain),
            37 => (Standing::Active, Some(Outcome::MailboxFull), domain),
            42 => (Standing::Active, Some(Outcome::Complaint), domain),
            // Nobody has registered this one.
            58 => (Standing::Active, None, "larkspr.example"),
            84 => (Standing::Active, Some(Outcome::Suppressed), domain),
            _ => (Standing::Active, None, domain),
        };
        let name = format!("{first} {last}");
        // The addresses of the demo are plain; an ö is an address too, but not the point here.
        let local = name.to_lowercase().replace(' ', ".").replace('ö', "oe");
        let minutes = i64::try_from(place * 37 % 40_000)?;
        let contact = Contact {
            id: LeadId::parse(&format!("lead-{:04}", place + 1)).context("make a lead's id")?,
            name,
            company: company.to_owned(),
            address: format!("{local}@{domain}"),
            standing,
            changed_at: now - SignedDuration::from_mins(minutes),
        };
        crowd.push((contact, outcome));
    }
    Ok(crowd)
}

/// The thing at `place`, counted around.
fn nth<T: Copy>(things: &[T], place: usize) -> anyhow::Result<T> {
    let found = things.get(place % things.len());
    found.copied().context("choose one of none")
}

/// Enters people into the CRM until it holds `size`, at once; then saves those of them that Leadlight does not know, and lets
/// happen what has already happened. The page can be used meanwhile.
///
/// # Errors
/// When Leadlight or SES refuse their part.
pub async fn gather(crm: &Crm, ses: &Ses, size: usize, now: Timestamp) -> anyhow::Result<()> {
    let crowd = crowd(size.saturating_sub(SEEDS.len()), now)?;
    crm.enter(crowd.iter().map(|(contact, _)| contact.clone()).collect())
        .await?;
    let ids: Vec<LeadId> = crowd
        .iter()
        .map(|(contact, _)| contact.id.clone())
        .collect();
    let unsaved = crm.unsaved(&ids).await?;
    for (contact, outcome) in &crowd {
        if !unsaved.contains(&contact.id) {
            continue;
        }
        crm.save(contact).await?;
        if let Some(outcome) = *outcome {
            ses.script(&contact.address, outcome)?;
            crm.send_unchecked(contact, WELCOME.0, WELCOME.1).await?;
        }
    }
    Ok(())
}
