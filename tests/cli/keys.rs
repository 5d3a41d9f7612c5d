//! `declaim keys`, and what a server says that asks for them.

use serde_json::Value;

use super::{Server, declaim, err, out, run};

#[test]
fn a_key_is_printed_once_listed_without_itself_and_revoked_by_its_name() {
    let data = tempfile::tempdir().unwrap();
    let made = run(
        data.path(),
        &[
            "keys",
            "create",
            "--name",
            "phone",
            "--scope",
            "speak,voices",
            "--quota",
            "characters-per-minute=500",
        ],
    );
    assert!(made.status.success(), "{}", err(&made));
    let key = out(&made).trim_end().to_owned();
    assert!(key.starts_with("dcl_") && key.len() == 52, "only the key, to be piped: {key:?}");
    assert!(err(&made).contains("shown this once"), "{}", err(&made));
    let listed = out(&run(data.path(), &["keys", "list"]));
    assert!(
        listed.contains("phone") && listed.contains("speak,voices") && listed.contains("500"),
        "{listed}"
    );
    assert!(listed.contains(&key[..8]) && !listed.contains(&key), "{listed}");
    let again = run(data.path(), &["keys", "create", "--name", "phone", "--scope", "admin"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("there is a key \"phone\" already"), "{}", err(&again));
    let wrong = run(data.path(), &["keys", "create", "--name", "x", "--scope", "root"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("speak, voices or admin"), "{}", err(&wrong));
    assert!(run(data.path(), &["keys", "revoke", "phone"]).status.success());
    assert_eq!(run(data.path(), &["keys", "revoke", "phone"]).status.code(), Some(1));
    assert_eq!(out(&run(data.path(), &["keys", "list"])), "No keys.\n");
    let all: Value =
        serde_json::from_str(&out(&run(data.path(), &["keys", "list", "--all", "--json"]))).unwrap();
    assert!(all[0]["revoked_at"].is_f64(), "{all}");
}

#[test]
fn a_server_for_the_network_says_what_to_type_and_obeys_the_command_line_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path(), |command| {
        command.args(["--host", "0.0.0.0"]);
    });
    assert!(server.line().starts_with("This server asks for keys"), "it says so");
    assert_eq!(server.line(), "");
    let command = server.line();
    assert_eq!(
        command.trim(),
        format!("declaim keys create --name admin --scope admin --data '{}'", data.path().display())
    );
    let url = server.url.replace("0.0.0.0", "127.0.0.1");
    let list = |key: Option<&str>| {
        let mut command = declaim(data.path());
        command.args(["jobs", "list", "--server", &url]);
        if let Some(key) = key {
            command.env("DECLAIM_KEY", key);
        }
        command.output().unwrap()
    };
    let refused = list(None);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("This server asks for a key"), "{}", err(&refused));
    // The very command that it said, by its arguments.
    let key = out(&run(data.path(), &["keys", "create", "--name", "admin", "--scope", "admin"]));
    let listed = list(Some(key.trim()));
    assert_eq!(out(&listed), "No jobs.\n", "{}", err(&listed));
    assert!(run(data.path(), &["keys", "revoke", "admin"]).status.success());
    assert!(err(&list(Some(key.trim()))).contains("not known here, or it was revoked"));
}

#[test]
fn wyoming_knows_no_keys_so_it_stays_on_this_machine_unless_that_is_meant() {
    let data = tempfile::tempdir().unwrap();
    let serve = |open: bool| {
        let mut command = declaim(data.path());
        command.args(["serve", "--port", "0"]).env("DECLAIM_AUTH__KEYS", "required");
        command.env("DECLAIM_WYOMING__ENABLED", "true").env("DECLAIM_WYOMING__PORT", "0");
        command
            .env("DECLAIM_WYOMING__HOST", "0.0.0.0")
            .env("DECLAIM_WYOMING__WITHOUT_KEYS", open.to_string());
        command
    };
    let refused = serve(false).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", out(&refused));
    assert!(err(&refused).contains("Wyoming knows no keys"), "{}", err(&refused));
    assert!(err(&refused).contains("wyoming.without_keys"), "{}", err(&refused));
    let server = Server::start(data.path(), |command| {
        *command = {
            let mut open = serve(true);
            open.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
            open
        }
    });
    assert!(server.url.starts_with("http://127.0.0.1:"), "it starts");
}
