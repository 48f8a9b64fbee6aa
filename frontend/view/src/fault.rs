//! Why a status is not known, or a press of Check again came to nothing.

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server could not be reached.
    Offline,
    /// No token, or one that the server does not accept.
    Unauthorised,
    /// A token that does not cover this.
    Forbidden,
    /// Too many requests.
    Busy,
    /// The server does not know the lead.
    NotFound,
    /// The server refused, because the status has changed since it was read.
    Refused,
    /// The server failed, or answered something else than a status.
    Unavailable,
    /// The page gave an id that no lead can have.
    InvalidLead,
    /// The page never said where the server is.
    Unconfigured,
}

impl Fault {
    fn of_answer(status: u16) -> Option<Self> {
        match status {
            200..=299 => None,
            0 => Some(Self::Offline),
            401 => Some(Self::Unauthorised),
            403 => Some(Self::Forbidden),
            404 => Some(Self::NotFound),
            409 => Some(Self::Refused),
            429 => Some(Self::Busy),
            _ => Some(Self::Unavailable),
        }
    }

    /// Its name in `lead-light-error`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::InvalidLead => "invalid_lead",
            Self::Unconfigured => "unsupported",
        }
    }

    /// Whether it may be over without anybody doing anything about it.
    #[must_use]
    pub fn passes(self) -> bool {
        match self {
            Self::Offline | Self::Busy | Self::Unavailable => true,
            Self::Unauthorised
            | Self::Forbidden
            | Self::NotFound
            | Self::Refused
            | Self::InvalidLead
            | Self::Unconfigured => false,
        }
    }

    /// The key of the sentence that says so.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Offline => "fault.offline",
            Self::Unauthorised => "fault.unauthorised",
            Self::Forbidden => "fault.forbidden",
            Self::Busy => "fault.busy",
            Self::InvalidLead => "fault.invalid_lead",
            Self::NotFound | Self::Refused | Self::Unavailable => "fault.unavailable",
            Self::Unconfigured => "unsupported",
        }
    }
}

/// A fault, and the time before which trying again is pointless, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trouble {
    /// What went wrong.
    pub fault: Fault,
    /// Not before then.
    pub retry_at: Option<f64>,
}

impl Trouble {
    /// What an answer of this HTTP status means; 0 is no answer at all. `retry_at` is no number where the server named no time.
    ///
    /// # Errors
    /// The answer is no success.
    pub fn check(status: u16, retry_at: f64) -> Result<(), Self> {
        match Fault::of_answer(status) {
            None => Ok(()),
            Some(fault) => Err(Self {
                fault,
                retry_at: retry_at.is_finite().then_some(retry_at),
            }),
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            retry_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_is_no_fault() {
        assert_eq!(Fault::of_answer(200), None);
        assert_eq!(Fault::of_answer(0), Some(Fault::Offline));
        assert_eq!(Fault::of_answer(302), Some(Fault::Unavailable));
        assert_eq!(Fault::of_answer(503), Some(Fault::Unavailable));
        assert_eq!(Fault::of_answer(429), Some(Fault::Busy));
    }
}
