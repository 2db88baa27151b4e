use proptest::prelude::*;

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::try_from(*value).unwrap());
    }
    headers
}

fn passed_on(pairs: &[(&'static str, &str)]) -> (String, Option<String>) {
    let mut headers = headers(pairs);
    Trace::of(&headers).pass_on(&mut headers);
    assert_eq!(headers.get_all("traceparent").iter().count(), 1);
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    (text("traceparent").unwrap(), text("tracestate"))
}

#[test]
fn a_trace_goes_on_with_us_as_the_parent() {
    let (parent, state) =
        passed_on(&[("traceparent", PARENT), ("tracestate", "a=1,b@c=2"), ("tracestate", "d=3")]);
    assert_eq!(parent[..36], PARENT[..36]);
    assert_ne!(parent[36..52], PARENT[36..52]);
    assert_eq!(&parent[52..], "-01");
    assert_eq!(state.as_deref(), Some("a=1,b@c=2,d=3"));
    assert_eq!(&passed_on(&[("traceparent", &PARENT.replace("-01", "-00"))]).0[52..], "-00");
}

#[test]
fn a_later_version_is_read_as_far_as_we_know_it() {
    let later = PARENT.replacen("00", "cc", 1);
    for text in [later.clone(), format!("{later}-what the future will bring")] {
        let (parent, _) = passed_on(&[("traceparent", &text)]);
        assert_eq!(parent[..36], PARENT[..36], "{text}");
    }
    assert_ne!(passed_on(&[("traceparent", &format!("{later}.more"))]).0[..36], PARENT[..36]);
}

#[test]
fn what_is_invalid_starts_a_trace_anew_and_its_state_goes_no_further() {
    for bad in [
        "",
        "00",
        &PARENT[..54],
        &format!("{PARENT}-"),
        &format!("{PARENT}0"),
        &PARENT.to_uppercase(),
        &PARENT.replacen("00", "ff", 1),
        &PARENT.replace("-01", "-0g"),
        &PARENT.replace('-', "_"),
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    ] {
        let (parent, state) = passed_on(&[("traceparent", bad), ("tracestate", "a=1")]);
        assert_ne!(parent[3..35], PARENT[3..35], "{bad}");
        assert!(parent.ends_with("-01") && state.is_none(), "{bad}");
    }
    let (parent, state) =
        passed_on(&[("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=1")]);
    assert!(parent[3..35] != PARENT[3..35] && state.is_none());
    assert_eq!(passed_on(&[("tracestate", "a=1")]).1, None);
}

#[test]
fn a_state_that_is_malformed_or_too_long_is_left_out() {
    let long = format!("a={}", "x".repeat(256));
    let too_long = format!("{long},b={}", "x".repeat(256));
    let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    for bad in ["", "a", "=1", "A=1", "a=", "a=1=2", "a=1,b", "a=1,b=2,a=3", &too_long, &many, "a b=1"] {
        assert_eq!(passed_on(&[("traceparent", PARENT), ("tracestate", bad)]).1, None, "{bad}");
    }
    for good in ["a=1", "a=1,", "a=1 , b=2", &long] {
        assert_eq!(passed_on(&[("traceparent", PARENT), ("tracestate", good)]).1.as_deref(), Some(good));
    }
}

proptest! {
    #[test]
    fn whatever_comes_a_valid_parent_is_passed_on(text in "[ -~]{0,80}", state in "[ -~]{0,80}") {
        let (parent, _) = passed_on(&[("traceparent", text.trim()), ("tracestate", state.trim())]);
        prop_assert!(parse(parent.as_bytes()).is_some(), "{}", parent);
    }
}
