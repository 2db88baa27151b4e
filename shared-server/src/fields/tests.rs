//! What is said of good and bad members.

use super::*;

fn errors(fields: Fields) -> Vec<(String, String)> {
    let problem = fields.finish().unwrap_err();
    problem.errors().iter().map(|e| (e.field.clone(), e.detail.clone())).collect()
}

#[test]
fn every_bad_field_is_named_at_once() {
    let body = br#"{"name":"","age":"x","tags":[1,"ok",""],"items":[{"path":5}],"extra":1}"#;
    let mut fields = Fields::read(body).unwrap();
    fields.required_text("name", 10);
    fields.required_text("missing", 10);
    fields.integer("age", 0..=9);
    fields.texts("tags", 5, 10, false);
    fields.objects("items", 5, |item| item.required_text("path", 10));

    let named: Vec<String> = errors(fields).into_iter().map(|(field, _)| field).collect();

    assert_eq!(named, ["name", "missing", "age", "tags[0]", "tags[2]", "items[0].path", "extra"]);
}

#[test]
fn a_good_object_has_no_errors() {
    let mut fields = Fields::read(br#"{"name":"n","on":true,"kind":"b","note":null}"#).unwrap();
    assert_eq!(fields.required_text("name", 10), "n");
    assert_eq!(fields.flag("on"), Some(true));
    assert_eq!(fields.word("kind", &[("a", 1), ("b", 2)]), Some(2));
    assert_eq!(fields.text("note", 5), None);
    assert!(fields.finish().is_ok());
}

#[test]
fn texts_that_are_too_long_or_hold_controls_are_refused() {
    let mut fields = Fields::read(br#"{"a":"123456","b":"x\u0000y"}"#).unwrap();
    fields.text("a", 5);
    fields.text("b", 5);
    assert_eq!(errors(fields).len(), 2);
}

#[test]
fn an_item_may_be_a_text_or_an_object() {
    let mut fields = Fields::read(br#"{"to":["a","",5,{"url":"b"},{"uri":"c"},"no"]}"#).unwrap();
    let text = |text: String| if text == "no" { Err("is no") } else { Ok(text) };
    let read = fields.texts_or_objects("to", (9, 9), text, |item| item.required_text("url", 9));
    let named: Vec<String> = errors(fields).into_iter().map(|(field, _)| field).collect();

    assert_eq!(read.unwrap(), ["a", "b", ""]);
    assert_eq!(named, ["to[1]", "to[2]", "to[4].url", "to[4].uri", "to[5]"]);
}

#[test]
fn a_body_that_is_no_object_or_repeats_a_name_cannot_be_read() {
    for bad in [&b"[]"[..], b"", b"{", br#"{"a":1,"a":2}"#, b"\xff"] {
        assert_eq!(Fields::read(bad).unwrap_err().status(), 400);
    }
}
