//! Which pages may use a key: by the `Referer` that their browser sends (RFC 9110, section 10.1.3).

use std::fmt;

use url::{Host, Url};

/// One page, all pages below a path, or all pages of an origin; the host may begin with `*.` for every host below it.
///
/// The original compares with a pattern in which `*` is anything, so that `https://app.example*` also lets
/// `https://app.example.evil.example` in. Here an origin is compared as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefererRule {
    text: String,
    scheme: String,
    /// Below this host, where it begins with a dot.
    host: String,
    port: Option<u16>,
    path: Path,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Any,
    Exactly(String),
    Below(String),
}

/// The longest rule, in characters.
pub const LONGEST: usize = 300;

impl RefererRule {
    /// Reads `https://app.example`, `https://app.example/page`, `https://app.example/shop/*` or `https://*.example`.
    ///
    /// # Errors
    /// What is wrong, and the remedy.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be an origin or a page, such as https://app.example, https://app.example/shop/* or https://*.app.example";
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        let (rest, prefix) = rest.strip_suffix("/*").map_or((rest, false), |rest| (rest, true));
        if rest.contains(['*', '?', '#', '@', '\\']) || text.chars().count() > LONGEST {
            return Err(FORM);
        }
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| FORM)?;
        let host = match url.host() {
            Some(Host::Domain(host)) if below => format!(".{host}"),
            Some(host) if !below => host.to_string(),
            _ => return Err(FORM),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FORM);
        }
        let path = match (rest.contains('/'), prefix) {
            (false, _) => Path::Any,
            (true, true) => Path::Below(format!("{}/", url.path())),
            (true, false) => Path::Exactly(url.path().to_owned()),
        };
        let (scheme, port) = (url.scheme().to_owned(), url.port_or_known_default());
        Ok(Self { text: text.to_owned(), scheme, host, port, path })
    }

    /// Whether a page of that address is meant.
    #[must_use]
    pub fn allows(&self, referer: &str) -> bool {
        let Ok(url) = Url::parse(referer) else { return false };
        let Some(host) = url.host_str() else { return false };
        let is_host = if self.host.starts_with('.') { host.ends_with(&self.host) } else { host == self.host };
        let is_path = match &self.path {
            Path::Any => true,
            Path::Exactly(path) => url.path() == path,
            Path::Below(prefix) => url.path().starts_with(prefix.as_str()),
        };
        is_host && is_path && url.scheme() == self.scheme && url.port_or_known_default() == self.port
    }
}

impl fmt::Display for RefererRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(rule: &str, referer: &str) -> bool {
        RefererRule::parse(rule).unwrap().allows(referer)
    }

    #[test]
    fn an_origin_is_compared_as_one() {
        for good in [
            "https://app.example",
            "https://app.example/",
            "https://app.example:443/a?b",
            "https://APP.example/x",
        ] {
            assert!(allows("https://app.example", good), "{good}");
            assert!(allows("https://app.example/*", good), "{good}");
        }
        for bad in [
            "http://app.example/",
            "https://app.example.evil.example/",
            "https://app.example:8443/",
            "https://evil.example/https://app.example/",
            "https://app.example@evil.example/",
            "https://x.app.example/",
            "app.example",
            "",
        ] {
            assert!(!allows("https://app.example", bad), "{bad}");
        }
    }

    #[test]
    fn hosts_below_one_are_meant_by_a_star_and_that_one_is_not() {
        assert!(allows("https://*.app.example", "https://a.b.app.example/"));
        assert!(!allows("https://*.app.example", "https://app.example/"));
        assert!(!allows("https://*.app.example", "https://evilapp.example/"));
    }

    #[test]
    fn a_path_is_one_page_or_all_below_it() {
        assert!(allows("https://a.example/shop/*", "https://a.example/shop/cart?x=1"));
        assert!(!allows("https://a.example/shop/*", "https://a.example/shopping"));
        assert!(!allows("https://a.example/shop/*", "https://a.example/shop/../admin"));
        assert!(allows("https://a.example/page", "https://a.example/page#part"));
        assert!(!allows("https://a.example/page", "https://a.example/page/2"));
    }

    #[test]
    fn what_is_neither_origin_nor_page_is_refused() {
        for bad in [
            "",
            "*",
            "a.example",
            "https://",
            "https://*",
            "https://*.*.example",
            "https://a*.example",
            "ftp://a.example",
            "https://u@a.example",
            "https://a.example/?q",
            "https://a.example/*/b",
            "https://*.192.0.2.1",
        ] {
            assert!(RefererRule::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_reads_is_written_alike(rule in "https?://[a-z*.:/@-]{0,30}", referer in ".{0,40}") {
            if let Ok(rule) = RefererRule::parse(&rule) {
                let _ = rule.allows(&referer);
                prop_assert_eq!(RefererRule::parse(&rule.to_string()), Ok(rule));
            }
        }
    }
}
