//! What stands between the server and its machine: libraries in C that are preloaded into its process, built here by the C
//! compiler that SQLite's build needs anyway.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use crate::ledger::digest;

/// Writes down what happens to the data directory; can be full.
pub(crate) fn disk() -> String {
    built("disk")
}

/// A wall clock that can be set.
pub(crate) fn clock() -> String {
    built("clock")
}

/// The path of a library, built where this source was not built before.
fn built(name: &str) -> String {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/layers").join(format!("{name}.c"));
    let known_by = &digest(&std::fs::read(&source).unwrap())[..16];
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("{name}-{known_by}.so"));
    if !library.exists() {
        // Aside first: another run of the tests may be loading it.
        let aside = folder.join(format!("{name}-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-pthread", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&aside, &source])
            .status()
            .unwrap();
        assert!(compiled.success(), "{} does not compile", source.display());
        std::fs::rename(aside, &library).unwrap();
    }
    library.into_os_string().into_string().unwrap()
}
