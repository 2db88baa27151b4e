//! Values judged by JSON Schema.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn judged(openapi: &str, schema: Value, value: &Value) -> Vec<String> {
    let schemas = json!({"S": schema, "Node": {"properties": {"next": {"$ref": "#/components/schemas/Node"}}, "required": ["v"]}});
    let root = json!({"openapi": openapi, "components": {"schemas": schemas}});
    let mut problems = Problems::default();
    let judge = Judge::compile(&Document { root }, &mut problems);
    assert_eq!(problems.into_list(), []);
    let schema = json!({"$ref": "#/components/schemas/S"});
    judge.faults(&schema, value, "/body").into_iter().map(|fault| fault.field).collect()
}

#[test]
fn each_word_lets_good_values_through_and_names_the_place_of_bad_ones() {
    let cases = [
        (json!({"type": "integer"}), json!(1.0), json!(1.5)),
        (json!({"type": ["string", "null"]}), json!(null), json!(1)),
        (json!({"enum": [1, "a"]}), json!(1), json!("b")),
        (json!({"const": {"a": 1}}), json!({"a": 1}), json!({"a": 2})),
        (json!({"minimum": 1, "exclusiveMaximum": 3}), json!(1), json!(3)),
        (json!({"multipleOf": 0.1}), json!(0.3), json!(0.35)),
        (json!({"minLength": 2, "maxLength": 3}), json!("äö"), json!("abcd")),
        (json!({"pattern": "^a+$"}), json!("aa"), json!("ab")),
        (json!({"minItems": 1, "uniqueItems": true}), json!([1, 2]), json!([1, 1])),
        (json!({"contains": {"const": 1}}), json!([0, 1]), json!([0])),
        (json!({"maxProperties": 1}), json!({"a": 1}), json!({"a": 1, "b": 2})),
        (json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}), json!(6), json!(4)),
        (json!({"oneOf": [{"minimum": 1}, {"minimum": 5}]}), json!(3), json!(6)),
        (json!({"not": {"type": "string"}}), json!(1), json!("a")),
        (json!({"if": {"type": "string"}, "then": {"minLength": 2}}), json!(1), json!("a")),
        (json!({"allOf": [{"type": "string"}, {"maxLength": 1}]}), json!("a"), json!("ab")),
    ];
    for (schema, good, bad) in cases {
        assert_eq!(judged("3.1.0", schema.clone(), &good), Vec::<String>::new(), "{schema}");
        assert_eq!(judged("3.1.0", schema.clone(), &bad), ["/body"], "{schema}");
    }
    let object = json!({
        "required": ["a", "id"], "additionalProperties": false, "patternProperties": {"^x-": {"type": "string"}},
        "properties": {"a": {"items": {"type": "integer"}}, "id": {"readOnly": true}},
    });
    let bad = json!({"a": [1, "2"], "x-a": 1, "b/c": 1});
    assert_eq!(judged("3.1.0", object.clone(), &bad), ["/body/a/1", "/body/b~1c", "/body/x-a"]);
    assert_eq!(judged("3.1.0", object, &json!({})), ["/body/a"]);
}

#[test]
fn the_words_of_3_0_mean_what_they_meant_there() {
    let schema = json!({"type": "number", "nullable": true, "minimum": 1, "exclusiveMinimum": true});
    assert!(judged("3.0.3", schema.clone(), &json!(null)).is_empty());
    assert_eq!(judged("3.0.3", schema.clone(), &json!(1)), ["/body"]);
    assert_eq!(judged("3.1.0", schema, &json!(null)), ["/body"]);
}

#[test]
fn recursion_is_followed_and_circles_and_explosions_end() {
    let node = json!({"$ref": "#/components/schemas/Node"});
    assert_eq!(judged("3.1.0", node, &json!({"v": 1, "next": {"next": {"v": 1}}})), ["/body/next/v"]);
    let twice = json!({"allOf": [{"$ref": "#/components/schemas/S"}, {"$ref": "#/components/schemas/S"}]});
    assert!(!judged("3.1.0", twice, &json!(1)).is_empty());
    let none = json!({"not": {"$ref": "#/components/schemas/S"}});
    let _ = judged("3.1.0", none, &json!(1));
}

#[test]
fn what_cannot_be_judged_by_is_a_problem() {
    let root = json!({"a": {"pattern": "(?=x)"}, "b": {"pattern": "(a{1000}){1000}"}, "c": {"unevaluatedItems": false}, "d": {"example": {"pattern": "("}}});
    let mut problems = Problems::default();
    let _ = Judge::compile(&Document { root }, &mut problems);
    let fields: Vec<String> = problems.into_list().into_iter().map(|problem| problem.field).collect();
    assert_eq!(fields, ["/a/pattern", "/b/pattern", "/c/unevaluatedItems"]);
}

proptest! {
    #[test]
    fn no_value_panics_and_no_fault_echoes_it(text in "secret[a-z]{3,9}") {
        let faults = judged("3.1.0", json!({"type": "integer"}), &json!(text.clone()));
        prop_assert!(faults.iter().all(|fault| !fault.contains(&text)));
    }
}
