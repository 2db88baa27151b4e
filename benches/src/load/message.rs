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

/// One of these for the request of a number: each in its turn, in an order that jumps about.
#[must_use]
pub fn pick<T>(all: &[T], number: u64) -> Option<&T> {
    // Fibonacci hashing (Knuth, volume 3, section 6.4).
    let place = usize::try_from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16).unwrap_or_default();
    all.get(place.checked_rem(all.len())?)
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

    #[test]
    fn each_is_picked_about_as_often_as_any_other() {
        let all: Vec<usize> = (0..100).collect();
        let mut times = [0; 100];
        (0..10_000).for_each(|number| times[*pick(&all, number).unwrap()] += 1);
        assert!(times.iter().all(|times| (80..120).contains(times)), "{times:?}");
        assert_eq!(pick::<u8>(&[], 7), None);
    }
}
