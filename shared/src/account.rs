//! Accounts: one tenant each, a CRM customer with its own leads, identities, policy and keys. They never share anything.

use crate::codes::identifier;

identifier! {
    /// The id of an account: 1 to 64 letters, digits, `-` or `_`. Stands first in every key of the table.
    AccountId, max 64, also "-_"
}

/// Why a text is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// There is no text.
    #[error("must not be empty")]
    Empty,
    /// More characters than the identifier allows.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The most that is allowed.
        max: usize,
    },
    /// It would not stay where it stands in a URL's path.
    #[error("must not be \".\" or \"..\", which a URL's path cannot hold")]
    Dots,
    /// A character that an identifier cannot hold.
    #[error("must not hold {character:?} (position {position})")]
    UnexpectedCharacter {
        /// The character.
        character: char,
        /// Where it stands, counted in characters from 1.
        position: usize,
    },
}

pub(crate) fn check_identifier(text: &str, max: usize, also: &str) -> Result<(), IdentifierError> {
    if text.is_empty() {
        return Err(IdentifierError::Empty);
    }
    if text.chars().nth(max).is_some() {
        return Err(IdentifierError::TooLong { max });
    }
    if [".", ".."].contains(&text) {
        return Err(IdentifierError::Dots);
    }
    let odd = |c: &char| !c.is_ascii_alphanumeric() && !also.contains(*c);
    match text.chars().zip(1..).find(|(c, _)| odd(c)) {
        Some((character, position)) => Err(IdentifierError::UnexpectedCharacter {
            character,
            position,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_cannot_break_out_of_a_key() {
        assert_eq!(
            AccountId::parse("acme-1").map(String::from),
            Ok("acme-1".to_owned())
        );
        assert_eq!(AccountId::parse(""), Err(IdentifierError::Empty));
        assert_eq!(
            AccountId::parse(&"a".repeat(65)),
            Err(IdentifierError::TooLong { max: 64 })
        );
        let odd = IdentifierError::UnexpectedCharacter {
            character: '#',
            position: 2,
        };
        assert_eq!(AccountId::parse("a#lead"), Err(odd));
        assert_eq!(
            serde_json::from_str::<AccountId>("\"a#lead\"").map_err(|e| e.is_data()),
            Err(true)
        );
    }
}
