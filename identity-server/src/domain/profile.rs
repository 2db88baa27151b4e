//! What is known about a person: the attributes that SCIM (RFC 7643, section 4.1) and OpenID Connect share.

use shared_claims::field_error::FieldError;

/// The longest single value, in characters.
pub const LONGEST_VALUE: usize = 255;
/// The most values of one attribute.
pub const MOST_VALUES: usize = 50;

/// One of several addresses of the same sort: mail, telephone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// The address or number.
    pub value: String,
    /// `work`, `home`, …
    pub kind: Option<String>,
    /// Whether it is the one to use; at most one is.
    pub primary: bool,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostalAddress {
    /// All of it, for a label.
    pub formatted: Option<String>,
    /// Street and house.
    pub street_address: Option<String>,
    /// Town.
    pub locality: Option<String>,
    /// State or province.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// `work`, `home`, …
    pub kind: Option<String>,
}

/// The attributes of a person; every one may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The identifier that a provisioning client knows the person by.
    pub external_id: Option<String>,
    /// The whole name, ready to show.
    pub formatted_name: Option<String>,
    /// Given name.
    pub given_name: Option<String>,
    /// Middle name.
    pub middle_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// The name that the person likes to see.
    pub display_name: Option<String>,
    /// Nickname.
    pub nick_name: Option<String>,
    /// A page about the person.
    pub profile_url: Option<String>,
    /// Job title.
    pub title: Option<String>,
    /// Preferred language, such as `de-AT`.
    pub preferred_language: Option<String>,
    /// Where numbers and dates are written so, such as `de-AT`.
    pub locale: Option<String>,
    /// Time zone, such as `Europe/Vienna`.
    pub timezone: Option<String>,
    /// Mail addresses.
    pub emails: Vec<Contact>,
    /// Telephone numbers.
    pub phone_numbers: Vec<Contact>,
    /// Postal addresses; the first one is the claim.
    pub addresses: Vec<PostalAddress>,
    /// Groups that the person belongs to.
    pub groups: Vec<String>,
    /// Roles; `admin` may hold management scopes.
    pub roles: Vec<String>,
}

impl Profile {
    /// The one mail address to use: the primary one, else the first.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        primary(&self.emails)
    }

    /// The one telephone number to use.
    #[must_use]
    pub fn phone_number(&self) -> Option<&str> {
        primary(&self.phone_numbers)
    }

    /// The name to show: as given, else put together.
    #[must_use]
    pub fn full_name(&self) -> Option<String> {
        let given = self.formatted_name.clone().or_else(|| self.display_name.clone());
        given.or_else(|| {
            let parts = [&self.given_name, &self.middle_name, &self.family_name];
            let joined = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
            (!joined.is_empty()).then_some(joined)
        })
    }

    /// Everything that is wrong with it, by SCIM's names; lengths and types were checked when it was read.
    #[must_use]
    pub fn faults(&self) -> Vec<FieldError> {
        let mut faults = Vec::new();
        for (name, contacts) in [("emails", &self.emails), ("phoneNumbers", &self.phone_numbers)] {
            if contacts.iter().filter(|contact| contact.primary).count() > 1 {
                faults.push(FieldError::new(name, "has more than one primary value"));
            }
        }
        for (place, email) in self.emails.iter().enumerate().filter(|(_, email)| !is_email(&email.value)) {
            let _ = email;
            faults.push(FieldError::new(format!("emails[{place}].value"), "is not a mail address"));
        }
        // A comma would make two values of one where values are joined to a string.
        for (name, values) in [("groups", &self.groups), ("roles", &self.roles)] {
            for place in
                values.iter().enumerate().filter(|(_, value)| value.contains(',')).map(|(place, _)| place)
            {
                faults.push(FieldError::new(format!("{name}[{place}]"), "must not hold a comma"));
            }
        }
        faults
    }
}

fn primary(contacts: &[Contact]) -> Option<&str> {
    contacts
        .iter()
        .find(|contact| contact.primary)
        .or_else(|| contacts.first())
        .map(|contact| contact.value.as_str())
}

/// Whether mail could be sent there, as far as its form says.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    !local.is_empty()
        && !host.is_empty()
        && text.len() <= 254
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, ',' | '<' | '>' | '"'))
        && !local.contains('@')
        && !host.starts_with('.')
        && !host.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_address_is_the_one_to_use_and_else_the_first() {
        let contact = |value: &str, primary| Contact { value: value.into(), kind: None, primary };
        let mut profile =
            Profile { emails: vec![contact("a@x", false), contact("b@x", true)], ..Profile::default() };
        assert_eq!(profile.email(), Some("b@x"));
        profile.emails = vec![contact("a@x", false), contact("b@x", false)];
        assert_eq!(profile.email(), Some("a@x"));
    }

    #[test]
    fn a_name_is_put_together_where_none_was_given() {
        let mut profile = Profile { given_name: Some("Ada".into()), ..Profile::default() };
        profile.family_name = Some("Lovelace".into());
        assert_eq!(profile.full_name().as_deref(), Some("Ada Lovelace"));
        profile.formatted_name = Some("Countess".into());
        assert_eq!(profile.full_name().as_deref(), Some("Countess"));
        assert_eq!(Profile::default().full_name(), None);
    }

    #[test]
    fn mail_addresses_without_a_part_or_with_blanks_are_refused() {
        for bad in ["", "a", "@x", "a@", "a b@x", "a@x@y", "a@.x", "a@x.", "a,b@x"] {
            assert!(!is_email(bad), "{bad:?}");
        }
        assert!(is_email("a.b+c@example.com"));
    }

    #[test]
    fn two_primary_values_and_a_comma_in_a_role_are_both_named() {
        let one = Contact { value: "a@x".into(), kind: None, primary: true };
        let profile =
            Profile { emails: vec![one.clone(), one], roles: vec!["a,b".into()], ..Profile::default() };
        let named: Vec<_> = profile.faults().into_iter().map(|fault| fault.field).collect();
        assert_eq!(named, ["emails", "roles[0]"]);
    }
}
