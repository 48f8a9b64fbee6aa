//! What one process shares between its invocations: the table, and the services that its function asks besides.
//!
//! A function's binary starts with its own services and no others, so the linker leaves the others' code out of its zip.

use core::ops::Deref;
use std::sync::Arc;

use aws_sdk_dynamodb::config::SharedHttpClient;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioRuntimeProvider};
use secrecy::ExposeSecret as _;

use crate::accounts::Accounts;
use crate::config::{Settings, SettingsError, StartError, StoreSettings, https};
use crate::deliveries::{Courier, Reach};
use crate::event_bus::EventBus;
use crate::insights::Insights;
use crate::limits::Limits;
use crate::permit::PermitKey;
use crate::problem::chain;
use crate::sends::Mailer;
use crate::subscriber::Sns;
use crate::suppression_list::SuppressionList;
use crate::table::Table;
use crate::table::item::AddressSecret;
use crate::verifier::{Dns, Verifier};

/// How a process reaches what it asks.
#[derive(Clone, Debug)]
pub struct Network<N = TokioRuntimeProvider> {
    /// Calls AWS.
    pub aws: SharedHttpClient,
    /// Hands messages to SES, each on a connection of its own.
    pub mail: SharedHttpClient,
    /// Asks DNS.
    pub dns: N,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            aws: https(usize::MAX),
            mail: https(0),
            dns: TokioRuntimeProvider::default(),
        }
    }
}

/// What every function has. Those that ask nothing else start with it alone.
#[derive(Debug)]
pub struct Store {
    /// The table.
    pub table: Table,
    /// The secret for address keys.
    pub address_secret: AddressSecret,
    /// The accounts, as read lately.
    pub accounts: Accounts,
    /// The requests that were passed lately.
    pub(crate) limits: Limits,
}

impl Store {
    /// As the environment says. What else may stand in it is not even looked at.
    ///
    /// # Errors
    /// When a variable is missing or cannot be used.
    pub fn from_env() -> Result<Self, StartError> {
        let settings = StoreSettings::read(&|name| std::env::var(name).ok())?;
        Ok(Self::over(https(usize::MAX), settings))
    }

    fn over(http: SharedHttpClient, settings: StoreSettings) -> Self {
        let table = Table::new(settings.dynamodb(http), settings.table);
        Self {
            accounts: Accounts::new(table.clone()),
            limits: Limits::default(),
            table,
            address_secret: settings.address_secret,
        }
    }

    /// Opens the connection to the table while start-up has a whole processor. A table that is away fails nothing: the first
    /// event will find out.
    pub async fn warm(&self) {
        if let Err(error) = self.table.knock().await {
            tracing::warn!(error = %chain(&error), "could not open the connection to the table in advance");
        }
    }
}

/// What one function has: the [`Store`], and the services that it asks besides.
#[derive(Debug)]
pub struct App<S> {
    store: Arc<Store>,
    /// What the function asks besides the table.
    pub services: S,
}

impl<S: Services> App<S> {
    /// As the environment says; connects to nothing yet.
    ///
    /// # Errors
    /// When a variable is missing or cannot be used, or the system's name servers cannot be told.
    pub fn from_env() -> Result<Self, StartError> {
        let (settings, network) = (Settings::from_env()?, Network::default());
        let services = S::over(&network, &settings)?;
        let store = Store::over(network.aws, settings.store());
        Ok(Self {
            store: Arc::new(store),
            services,
        })
    }
}

impl<S> Deref for App<S> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// What a function may ask besides the table.
pub trait Services: Sized {
    /// Builds the clients over `network`; connects to nothing yet.
    ///
    /// # Errors
    /// When a setting cannot be used, or the system's name servers cannot be told.
    fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError>;
}

/// What tells whether an address can be delivered to, and lets SES deliver to it again.
#[derive(Clone, Debug)]
pub struct Checks {
    /// The network part of verifications.
    pub verifier: Verifier,
    /// SES's own suppression lists.
    pub suppression_list: SuppressionList,
    /// SES's second opinion on mailboxes.
    pub insights: Insights,
}

/// What sends, and says that something may be sent.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// Sends messages by SES.
    pub mailer: Mailer,
    /// Signs permits, where the deployment has a key for them.
    pub permit_key: Option<PermitKey>,
}

impl Services for Verifier {
    fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        let verifier = Self::over(network.dns.clone(), &settings.name_servers)?;
        Ok(verifier.with_blocklists(settings.blocklists.clone()))
    }
}

impl Services for Checks {
    fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        let ses = settings.sesv2(network.aws.clone());
        Ok(Self {
            verifier: Services::over(network, settings)?,
            suppression_list: SuppressionList::new(&ses),
            insights: Insights::new(&ses),
        })
    }
}

impl Services for Outbox {
    fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        let ses = settings.sesv2_once(network.mail.clone());
        let permit_key = settings.permit_key.as_ref();
        let permit_key = permit_key.map(|pem| PermitKey::from_pem(pem.expose_secret()));
        Ok(Self {
            mailer: Mailer::new(ses, settings.configuration_set.clone()),
            permit_key: permit_key.transpose().map_err(SettingsError::from)?,
        })
    }
}

impl Services for EventBus {
    fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        let bus = settings.event_bus.clone();
        let client = |bus| (settings.eventbridge(network.aws.clone()), bus);
        Ok(Self::new(bus.map(client)))
    }
}

impl Services for Reach {
    fn over<N: RuntimeProvider>(_: &Network<N>, settings: &Settings) -> Result<Self, StartError> {
        Ok(if settings.local_webhooks {
            Self::ThisMachineToo
        } else {
            Self::Internet
        })
    }
}

impl Services for Courier {
    fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        let dns = Dns::over(network.dns.clone(), &settings.name_servers)?;
        Ok(Self::new(dns, Services::over(network, settings)?))
    }
}

impl Services for Sns {
    fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        Ok(Self::new(settings.clone(), network.aws.clone()))
    }
}

/// Every function in one process, as the local stack and tests have them.
#[derive(Debug)]
pub struct Leadlight {
    store: Arc<Store>,
    /// For `verifications` and `reverifications`.
    pub verifier: App<Verifier>,
    /// For `leads` and `rechecks`.
    pub checks: App<Checks>,
    /// For `sends`.
    pub outbox: App<Outbox>,
    /// For `changes`.
    pub event_bus: App<EventBus>,
    /// For `deliveries`.
    pub courier: App<Courier>,
    /// For `webhooks`.
    pub reach: App<Reach>,
    /// For `subscriber`.
    pub sns: App<Sns>,
}

impl Leadlight {
    /// Builds the clients; connects to nothing yet.
    ///
    /// # Errors
    /// When a setting cannot be used, or the system's name servers cannot be told.
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        Self::over(&Network::default(), settings)
    }

    /// Builds the clients over `network`.
    ///
    /// # Errors
    /// When a setting cannot be used, or the system's name servers cannot be told.
    pub fn over<N: RuntimeProvider>(
        network: &Network<N>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        fn app<S>(store: &Arc<Store>, services: S) -> App<S> {
            App {
                store: Arc::clone(store),
                services,
            }
        }
        let store = &Arc::new(Store::over(network.aws.clone(), settings.store()));
        let checks = Checks::over(network, settings)?;
        Ok(Self {
            store: Arc::clone(store),
            // What one of them learns of DNS the other knows.
            verifier: app(store, checks.verifier.clone()),
            checks: app(store, checks),
            outbox: app(store, Services::over(network, settings)?),
            event_bus: app(store, Services::over(network, settings)?),
            courier: app(store, Services::over(network, settings)?),
            reach: app(store, Services::over(network, settings)?),
            sns: app(store, Services::over(network, settings)?),
        })
    }
}

impl Deref for Leadlight {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}
