//! `WWW-Authenticate` at an API that takes more than tokens: each scheme is named (RFC 9110, section 11.6.1).

use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use crate::domain::scheme::{Scheme, Schemes};

const API_KEY: HeaderValue = HeaderValue::from_static("ApiKey realm=\"Countersign\", header=\"apikey\"");

const CERTIFICATE: HeaderValue = HeaderValue::from_static("ClientCertificate realm=\"Countersign\"");

/// Names the schemes of the API in a refusal that challenges: Bearer, with what was wrong, where it takes that, and
/// each other one on a line of its own.
pub fn tell(schemes: Option<Schemes>, headers: &mut HeaderMap) {
    let Some(schemes) = schemes.filter(|_| headers.contains_key(WWW_AUTHENTICATE)) else { return };
    if !schemes.contain(Scheme::Token) && !schemes.contain(Scheme::Jwt) {
        headers.remove(WWW_AUTHENTICATE);
    }
    if schemes.contain(Scheme::ApiKey) {
        headers.append(WWW_AUTHENTICATE, API_KEY);
    }
    if schemes.contain(Scheme::ClientCertificate) {
        headers.append(WWW_AUTHENTICATE, CERTIFICATE);
    }
}

/// What a call without credentials lacks, for people.
#[must_use]
pub fn wanted(schemes: Schemes) -> String {
    let one = |scheme| match scheme {
        Scheme::Token => "a header: 'Authorization: Bearer ACCESS_TOKEN'",
        Scheme::ApiKey => "a header: 'apikey: API_KEY'",
        Scheme::ClientCertificate => "a client certificate in TLS",
        Scheme::Jwt => "a header: 'Authorization: Bearer JWT'",
    };
    schemes.iter().map(one).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(schemes: &[Scheme]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Countersign\""));
        tell(Some(Schemes::of(schemes)), &mut headers);
        let lines = headers.get_all(WWW_AUTHENTICATE).iter();
        lines.map(|line| line.to_str().unwrap().split(' ').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn exactly_the_schemes_of_the_api_are_named() {
        assert_eq!(told(&[Scheme::Token]), ["Bearer"]);
        assert_eq!(told(&[Scheme::Jwt]), ["Bearer"]);
        assert_eq!(told(&[Scheme::ApiKey]), ["ApiKey"]);
        assert_eq!(told(&[Scheme::Token, Scheme::ApiKey]), ["Bearer", "ApiKey"]);
    }

    #[test]
    fn an_answer_that_does_not_challenge_goes_on_not_to() {
        let mut headers = HeaderMap::new();
        tell(Some(Schemes::of(&Scheme::ALL)), &mut headers);
        assert!(headers.is_empty());
    }
}
