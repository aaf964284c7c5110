//! What the Debian packages repeat from elsewhere, compared with where it comes from. The packages
//! themselves are built, installed and used by `tests/system/hosts`.
#![cfg(target_os = "linux")]

use crate::runner::tests;
use std::fs;
use std::path::Path;
use std::process::Command;

tests![
    the_changelog_of_the_packages_begins_with_this_version,
    the_man_page_names_every_command,
    the_man_pages_name_every_option,
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the programs under test are started as a user would"
)]
fn help_of(program: &str) -> String {
    let output = Command::new(program)
        .arg("--help")
        .output()
        .expect("the program runs");
    String::from_utf8(output.stdout).expect("text")
}

/// The words of a man page: hyphens are escaped there.
fn man_page(name: &str) -> String {
    read(&format!("debian/{name}.1")).replace("\\-", "-")
}

fn the_changelog_of_the_packages_begins_with_this_version() {
    let changelog = read("debian/changelog");
    let first = changelog.lines().next().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        first.starts_with(&format!("flux ({version}-")),
        "{first:?} is not of version {version}"
    );
}

fn the_man_page_names_every_command() {
    let help = help_of(env!("CARGO_BIN_EXE_flux"));
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 10, "no list of commands in:\n{help}");
    let page = man_page("flux");
    // The line after .TP is what an entry is about.
    let entries: Vec<&str> = page
        .split(".TP\n")
        .skip(1)
        .filter_map(|entry| entry.lines().next())
        .flat_map(|line| line.split([' ', '"', ',']))
        .collect();
    let is_named = |command: &&str| entries.contains(command);
    let unnamed: Vec<_> = commands.iter().filter(|it| !is_named(it)).collect();
    assert_eq!(unnamed, [&"help"]);
}

fn the_man_pages_name_every_option() {
    for (name, program) in [
        ("flux", env!("CARGO_BIN_EXE_flux")),
        ("flux-agent", env!("CARGO_BIN_EXE_flux-agent")),
    ] {
        let (help, page) = (help_of(program), man_page(name));
        let options: Vec<&str> = help
            .lines()
            .filter(|line| line.trim_start().starts_with('-'))
            .flat_map(str::split_whitespace)
            .filter(|word| word.starts_with("--"))
            .collect();
        assert!(options.len() > 2, "no options in:\n{help}");
        for option in options {
            assert!(page.contains(option), "{name}.1 does not name {option}");
        }
    }
}
