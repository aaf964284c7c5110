//! Hostile and broken YAML.

use std::time::{Duration, Instant};

use crate::config::document::Value;
use crate::config::function::MAX_FUNCTION_YAML_BYTES;
use crate::config::yaml::parse;

fn message(text: &str) -> String {
    parse(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn nested_aliases_are_refused_before_they_take_time_or_memory() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let started = Instant::now();
    let message = message(&bomb);
    assert!(message.contains("more than 20000 values"), "{message}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_long_text_cannot_be_multiplied_by_aliases() {
    let mut bomb = format!("a: &a {}\nb:\n", "x".repeat(60_000));
    for _ in 0..1_000 {
        bomb.push_str(" - *a\n");
    }
    assert!(message(&bomb).contains("more than 20000 values"));
}

#[test]
fn deep_nesting_ends_with_an_error_and_not_with_the_stack() {
    for opening in ["[", "{a: ", "- "] {
        let deep = opening.repeat(MAX_FUNCTION_YAML_BYTES / opening.len());
        assert!(parse(deep.as_bytes()).is_err(), "{opening}");
    }
}

#[test]
fn an_alias_inside_of_its_own_anchor_is_refused() {
    assert!(message("a: &a [*a]\n").contains("inside of what it stands for"));
    assert!(message("a: *nowhere\n").contains("line 1"));
}

#[test]
fn a_modest_alias_is_expanded() {
    let root = parse(b"a: &a hello\nb: *a\n").expect("valid");
    let Value::Mapping(entries) = root.value else {
        panic!("a mapping");
    };
    assert_eq!(entries[1].value.value, Value::Scalar("hello".into()));
}

#[test]
fn a_key_that_stands_twice_is_refused_with_its_line() {
    assert_eq!(
        message("name: a\nhandler: b\nname: c\n"),
        "line 3, column 1: the key \"name\" stands here twice"
    );
}

#[test]
fn what_only_some_yaml_is_is_refused_by_name() {
    for (text, expected) in [
        ("a: !!binary aGVsbG8=\n", "tags"),
        ("a: &a {b: c}\nd:\n  <<: *a\n", "merge keys"),
        ("[a]: b\n", "plain text as key"),
        ("a: b\n---\nc: d\n", "second"),
    ] {
        let message = message(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn broken_syntax_is_placed() {
    let message = message("name: a\nhandler: [b\n");
    assert!(
        message.starts_with("line 2, column 10: unclosed"),
        "{message}"
    );
    let error = parse(b"a: b\nc: \xff\n").expect_err("not UTF-8");
    assert_eq!((error.line, error.column), (2, 4));
}

#[test]
fn scalars_keep_the_text_in_which_they_were_written() {
    for (written, kept) in [
        ("1.10", "1.10"),
        ("yes", "yes"),
        ("0x1F", "0x1F"),
        ("012", "012"),
        ("'null'", "null"),
        ("\"a\\tb\"", "a\tb"),
        ("99999999999999999999999999", "99999999999999999999999999"),
    ] {
        let root = parse(format!("a: {written}\n").as_bytes()).expect(written);
        let Value::Mapping(entries) = root.value else {
            panic!("a mapping");
        };
        assert_eq!(entries[0].value.value, Value::Scalar(kept.into()));
    }
}

#[test]
fn nothing_at_all_is_null() {
    for text in ["", "\n", "# only a comment\n", "---\n", "~"] {
        assert_eq!(parse(text.as_bytes()).expect(text).value, Value::Null);
    }
}
