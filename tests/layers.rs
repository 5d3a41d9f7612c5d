//! Keeps the import order true: each module of `src/` imports only from those to its left, and each framework is named
//! only where it belongs. Reads the sources as text; a name in a comment or a string is no import.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the left, which knows nobody, to the right, which may know everybody.
const ORDER: [&str; 13] = [
    "breakpoints",
    "metrics",
    "xml",
    "config",
    "files",
    "models",
    "voices",
    "speech",
    "jobs",
    "http",
    "wyoming",
    "app",
    "cli",
];

/// Which files may name a crate, as prefixes of their paths in `src/`.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("burn", &[]),
    ("chatterbox", &["speech/chatterbox/"]),
    ("sqlx", &["jobs/store", "app.rs"]),
    ("axum", &["http/", "app.rs"]),
    ("ureq", &["models/", "cli/", "jobs/webhooks/"]),
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                found.insert(name, without_comments_and_strings(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// Good enough for formatted Rust: line comments, and strings that begin and end on one line.
fn without_comments_and_strings(source: &str) -> String {
    let clean = |line: &str| {
        let mut kept = String::new();
        let mut in_string = false;
        let mut previous = ' ';
        for character in line.chars() {
            match character {
                '"' if previous != '\\' && previous != '\'' => in_string = !in_string,
                '/' if !in_string && previous == '/' => {
                    kept.pop();
                    break;
                }
                _ if !in_string => kept.push(character),
                _ => {}
            }
            previous = character;
        }
        kept
    };
    source.lines().map(clean).collect::<Vec<_>>().join("\n")
}

fn place(module: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == module)
}

/// `jobs/store.rs` → `jobs`, `voices.rs` → `voices`; `None` for lib.rs and main.rs.
fn module_of(file: &str) -> Option<usize> {
    place(file.split('/').next().unwrap().trim_end_matches(".rs"))
}

/// The modules that a source names after `crate::`, also in groups as `crate::{app, config::Settings}`.
fn imports(source: &str) -> Vec<String> {
    let identifier = |text: &str| -> String {
        text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
    };
    let mut found = Vec::new();
    for rest in source.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut at_name = true;
            for (index, character) in group.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => at_name = true,
                    _ if at_name && character.is_alphabetic() => {
                        found.push(identifier(&group[index..]));
                        at_name = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.push(identifier(rest));
        }
    }
    found
}

/// Whether a source names a crate: as a path (`sqlx::`) or in `use sqlx;`.
fn names_crate(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(start, _)| {
        let before = source[..start].chars().next_back();
        let after = &source[start + name.len()..];
        let stands_alone =
            !before.is_some_and(|character| character.is_alphanumeric() || "_:.".contains(character));
        stands_alone
            && (after.starts_with("::") || after.starts_with(';') && source[..start].ends_with("use "))
    })
}

#[test]
fn each_module_imports_only_from_its_left() {
    let mut wrong = Vec::new();
    for (file, source) in sources() {
        let Some(own) = module_of(&file) else { continue };
        for import in imports(&source) {
            if place(&import).is_some_and(|imported| imported > own) {
                wrong.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the import order {ORDER:?}:\n{}", wrong.join("\n"));
}

#[test]
fn each_framework_is_named_only_where_it_belongs() {
    let mut wrong = Vec::new();
    for (file, source) in sources() {
        for (name, allowed) in ALLOWED {
            if names_crate(&source, name) && !allowed.iter().any(|prefix| file.starts_with(prefix)) {
                wrong.push(format!("{file} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "only {ALLOWED:?} may:\n{}", wrong.join("\n"));
}

#[test]
fn every_top_level_module_has_its_place_in_the_order() {
    for file in sources().keys().filter(|file| !["lib.rs", "main.rs"].contains(&file.as_str())) {
        assert!(module_of(file).is_some(), "{file} has no place in {ORDER:?}");
    }
}

#[test]
fn the_library_lists_its_modules_in_import_order() {
    let source = &sources()["lib.rs"];
    let listed: Vec<&str> =
        source.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, ORDER);
}

#[test]
fn the_scanner_sees_what_it_must_see() {
    assert_eq!(imports("use crate::{app::App, config::{A, B}, http};"), ["app", "config", "http"]);
    assert_eq!(imports("pub(crate) fn f() { crate::jobs::x() }"), ["jobs"]);
    assert!(names_crate("use axum::Json;", "axum") && names_crate("fn f(x: sqlx::Row)", "sqlx"));
    assert!(!names_crate("use crate::burn::x;", "burn") && !names_crate("auburn::x", "burn"));
    assert_eq!(without_comments_and_strings("a(\"axum::\"); // sqlx::").trim(), "a();");
}
