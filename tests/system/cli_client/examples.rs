//! The examples are what their README lines and comments say.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use flux::config::function::parse_function_yaml;
use serde_json::json;

use super::double::Double;
use super::flux::Flux;
use crate::runner::tests;

tests![
    every_example_is_a_valid_function,
    the_interpreted_examples_deploy_as_they_are,
    both_reports_on_the_sample_are_the_same,
    the_ticker_ends_with_the_code_that_it_is_given,
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn output(program: &Path, args: &[&str], stdin: Option<&Path>) -> (Option<i32>, String) {
    let mut command = Command::new(program);
    command.args(args);
    if let Some(path) = stdin {
        command.stdin(File::open(path).expect("the sample"));
    }
    let output = command.output().expect("the example starts");
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), stdout)
}

fn every_example_is_a_valid_function() {
    let mut count = 0;
    for entry in std::fs::read_dir(examples()).expect("examples") {
        let path = entry.expect("an entry").path();
        if path.ends_with("data") {
            continue;
        }
        let yaml = std::fs::read(path.join("function.yaml")).expect("a function.yaml");
        let config = parse_function_yaml(&yaml).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(path.ends_with(config.name.as_str()), "{path:?}");
        count += 1;
    }
    assert_eq!(count, 3);
}

fn the_interpreted_examples_deploy_as_they_are() {
    for name in ["access-report", "ticker"] {
        let double = Double::start();
        let stored = json!({"status": "success", "total_agents": 0, "agents": []});
        double.json("PUT /functions", 201, stored.clone());
        double.json(&format!("PUT /deploy/{name}"), 200, stored);
        let directory = examples().join(name).display().to_string();
        Flux::at(double.url()).run(&["deploy", &directory]).exits(0);
        double.requests();
    }
}

fn both_reports_on_the_sample_are_the_same() {
    let built = tempfile::tempdir().expect("tempdir");
    let program = built.path().join("report");
    let status = Command::new("rustc")
        .args(["--edition", "2021", "-o"])
        .arg(&program)
        .arg(examples().join("access-report-rs/report.rs"))
        .status()
        .expect("rustc starts");
    assert!(status.success());
    let sample = examples().join("data/access.log");
    let script = examples().join("access-report/report.py");
    for args in [["--top", "5"].as_slice(), &["--top", "1000"], &[]] {
        let (code, report) = output(&program, args, Some(&sample));
        assert_eq!(code, Some(0));
        assert!(report.starts_with("requests   16"), "{report}");
        assert_eq!(output(&script, args, Some(&sample)), (code, report));
    }
    for program in [&program, &script] {
        assert_eq!(
            output(program, &["--top", "x"], None),
            (Some(2), String::new())
        );
        let empty = Path::new("/dev/null");
        assert_eq!(output(program, &[], Some(empty)), (Some(1), String::new()));
    }
}

fn the_ticker_ends_with_the_code_that_it_is_given() {
    let ticker = examples().join("ticker/tick.sh");
    assert_eq!(output(&ticker, &["0", "7"], None), (Some(7), String::new()));
    assert_eq!(
        output(&ticker, &["1"], None),
        (Some(0), "tick 1 of 1\n".to_owned())
    );
}
