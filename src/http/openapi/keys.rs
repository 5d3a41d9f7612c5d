//! The operations around keys.

use serde_json::{Value, json};

use super::operations::{list_of, text};
use super::{Operation, reference};

const TAG: &str = "Keys";

/// Something to read, and no control characters.
const NAMED: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

pub(super) fn keys() -> Vec<Operation> {
    let limit = || json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX });
    let wish = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": NAMED },
            "scopes": { "type": "array", "items": { "enum": ["speak", "voices", "admin"] }, "minItems": 1 },
            "characters_per_minute": limit(),
            "audio_seconds_per_day": limit(),
        },
        "required": ["name", "scopes"],
    });
    let list = json!({ "type": "object", "properties": { "keys": list_of("Key") }, "required": ["keys"] });
    let sign_in = json!({ "type": "object", "properties": { "key": text() }, "required": ["key"] });
    vec![
        Operation::new("get", "/api/session", TAG, "Who asks, what they may, and what they have used")
            .json("The key, if one was asked for", "Session"),
        Operation::new("post", "/api/session", TAG, "Sign a browser in: a cookie for a key")
            .takes("application/json", sign_in)
            .json("Who that is", "Session"),
        Operation::new("delete", "/api/session", TAG, "Sign a browser out")
            .json("It is forgotten", "Message"),
        Operation::new("get", "/api/keys", TAG, "The valid keys, without the keys themselves")
            .object("The keys", list),
        Operation::new("post", "/api/keys", TAG, "Make a key; 0 is no limit, null that of the settings")
            .takes("application/json", wish)
            .gives(201, "The key; `secret` is told this once", Some(("application/json", reference("Key")))),
        Operation::new("delete", "/api/keys/{id}", TAG, "Revoke a key, at once")
            .json("It is revoked", "Message"),
    ]
}

/// The named schemas of these.
pub(super) fn schemas() -> [(&'static str, Value); 2] {
    let limit = || json!({ "type": ["integer", "null"] });
    let scopes = || json!({ "type": "array", "items": { "enum": ["speak", "voices", "admin"] } });
    let key = json!({
        "type": "object",
        "properties": {
            "id": text(), "name": text(), "hint": text(), "scopes": scopes(),
            "characters_per_minute": limit(), "audio_seconds_per_day": limit(),
            "created_at": { "type": "number" }, "last_used_at": { "type": ["number", "null"] },
            "usage": {
                "type": "object",
                "properties": {
                    "characters_in_this_minute": { "type": "integer" }, "audio_seconds_today": { "type": "number" }
                },
                "required": ["characters_in_this_minute", "audio_seconds_today"]
            },
            "secret": text(),
        },
        "required": [
            "id", "name", "hint", "scopes", "characters_per_minute", "audio_seconds_per_day", "created_at",
            "last_used_at", "usage"
        ],
    });
    let session = json!({
        "type": "object",
        "properties": {
            "keys_required": { "type": "boolean" }, "scopes": scopes(),
            "key": { "oneOf": [reference("Key"), { "type": "null" }] },
        },
        "required": ["keys_required", "scopes", "key"],
    });
    [("Key", key), ("Session", session)]
}
