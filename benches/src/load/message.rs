//! Whole requests, ready to be sent.

use openssl::base64::encode_block;

/// `GET` with a Bearer token.
#[must_use]
pub fn get(path: &str, host: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// `POST` of a form that is encoded already, with a client's Basic credentials.
#[must_use]
pub fn post_form(path: &str, host: &str, client: (&str, &str), form: &str) -> Vec<u8> {
    let basic = encode_block(format!("{}:{}", client.0, client.1).as_bytes());
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_sent_with_its_length_and_its_client() {
        let request = String::from_utf8(post_form("/t", "h", ("key", "secret"), "a=b")).unwrap();
        assert!(request.contains("Authorization: Basic a2V5OnNlY3JldA==\r\n"), "{request}");
        assert!(request.ends_with("Content-Length: 3\r\n\r\na=b"), "{request}");
    }
}
