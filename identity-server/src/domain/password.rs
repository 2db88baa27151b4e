//! Which passwords are good enough to be set.

use crate::domain::user;

/// The fewest characters.
pub const SHORTEST: usize = 8;
/// The most bytes; the hash takes no more either.
pub const LONGEST_BYTES: usize = 1_024;

/// Why a password cannot be set; the text completes "password …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Under 8 characters.
    #[error("is too short; at least 8 characters are required")]
    TooShort,
    /// Over 1024 bytes.
    #[error("is too long; at most 1024 bytes are accepted")]
    TooLong,
    /// The user name in whatever case.
    #[error("must not be the user name")]
    IsUserName,
}

/// Whether this user may set this password. Only length counts otherwise (NIST SP 800-63B, section 3.1.1.2).
///
/// # Errors
/// [`BadPassword`].
pub fn accept(password: &str, user_name: &str) -> Result<(), BadPassword> {
    if password.len() > LONGEST_BYTES {
        return Err(BadPassword::TooLong);
    }
    if password.chars().count() < SHORTEST {
        return Err(BadPassword::TooShort);
    }
    if user::key(password) == user::key(user_name) {
        return Err(BadPassword::IsUserName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_short_long_or_the_name_is_refused() {
        assert_eq!(accept("1234567", "bob"), Err(BadPassword::TooShort));
        assert_eq!(accept(&"x".repeat(1025), "bob"), Err(BadPassword::TooLong));
        assert_eq!(accept("Alexander", "alexandeR"), Err(BadPassword::IsUserName));
        assert_eq!(accept("éééééééé", "bob"), Ok(()));
        assert_eq!(accept(&"x".repeat(1024), "bob"), Ok(()));
    }
}
