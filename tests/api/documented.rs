//! Runs the shell examples of docs/API.md as they stand there; those in Python are run with their clients.

use std::process::Command;

use crate::server::Server;

const PAGE: &str = include_str!("../../docs/API.md");

/// The code blocks of a language, with the heading that each stands under.
fn examples(language: &str) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for section in PAGE.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        for block in section.split(&format!("\n```{language}\n")).skip(1) {
            found.push((heading, block.split("\n```").next().unwrap()));
        }
    }
    found
}

#[test]
fn every_shell_example_does_what_it_shows() {
    let server = Server::start_ready();
    let folder = tempfile::tempdir().unwrap();
    let examples = examples("sh");
    assert!(examples.len() >= 6, "the examples were not found");
    for (heading, script) in examples {
        let script = script.replace("localhost:8004", &server.address.to_string());
        let ran = Command::new("bash")
            .args(["-euo", "pipefail", "-c"])
            // A refusal must fail the example.
            .arg(format!(
                "curl() {{ command curl --fail-with-body --silent --show-error \"$@\"; }}\n{script}"
            ))
            .current_dir(&folder)
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{heading}: {said}");
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(std::fs::metadata(&path).unwrap().len() > 1000, "{heading}: {}", path.display());
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn every_surface_has_an_example() {
    let all: Vec<&str> =
        ["sh", "python"].into_iter().flat_map(examples).map(|(heading, _)| heading).collect();
    for section in PAGE.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        assert!(all.contains(&heading), "{heading} has no example that is run");
    }
}
