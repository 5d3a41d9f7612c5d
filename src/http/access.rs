//! Which endpoint asks for which key, in one table. What does not stand here is for administrators, so that an endpoint that
//! somebody forgets to enter is closed rather than open; a test compares the table with the router.

use axum::http::Method;

use crate::jobs::{Scope, Scopes};

/// What a key must be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// No key: what every installation shows alike, and whether it is alive.
    Nothing,
    /// Any valid key: what there is to choose from.
    AnyKey,
    A(Scope),
}

impl Needs {
    /// What the route of this path asks for by this method.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        // Whoever may get it may also ask about it.
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        let entry = TABLE.iter().find(|(known, at, _)| *known == method && *at == path);
        entry.map_or(Self::A(Scope::Admin), |(_, _, needs)| *needs)
    }

    /// Whether a key with these scopes will do; else the scope that it lacks.
    pub(super) fn check(self, scopes: &Scopes) -> Result<(), Scope> {
        match self {
            Self::A(scope) if !scopes.allow(scope) => Err(scope),
            Self::Nothing | Self::AnyKey | Self::A(_) => Ok(()),
        }
    }
}

const SPEAK: Needs = Needs::A(Scope::Speak);
const VOICES: Needs = Needs::A(Scope::Voices);
const ADMIN: Needs = Needs::A(Scope::Admin);

/// Method, route, what its key must be for.
pub(super) const TABLE: &[(&str, &str, Needs)] = &[
    ("GET", "/", Needs::Nothing),
    ("GET", "/assets/{version}/{*path}", Needs::Nothing),
    ("GET", "/docs", Needs::Nothing),
    ("GET", "/openapi.json", Needs::Nothing),
    ("GET", "/healthz", Needs::Nothing),
    ("GET", "/readyz", Needs::Nothing),
    // Here a key is brought, and a session is left that may be over already.
    ("POST", "/api/session", Needs::Nothing),
    ("DELETE", "/api/session", Needs::Nothing),
    ("GET", "/api/session", Needs::AnyKey),
    ("GET", "/api/model-info", Needs::AnyKey),
    ("GET", "/api/models", Needs::AnyKey),
    ("GET", "/api/models/{name}/events", Needs::AnyKey),
    ("GET", "/api/voices", Needs::AnyKey),
    ("GET", "/api/voices/{id}/audio", Needs::AnyKey),
    ("GET", "/get_predefined_voices", Needs::AnyKey),
    ("GET", "/get_reference_files", Needs::AnyKey),
    ("GET", "/api/ui/initial-data", Needs::AnyKey),
    ("GET", "/v1/models", Needs::AnyKey),
    ("GET", "/v1/models/{name}", Needs::AnyKey),
    ("GET", "/v1/audio/models", Needs::AnyKey),
    ("GET", "/v1/audio/voices", Needs::AnyKey),
    ("GET", "/v1/voices", Needs::AnyKey),
    ("GET", "/v1/voices/{id}", Needs::AnyKey),
    ("GET", "/v2/voices", Needs::AnyKey),
    ("POST", "/tts", SPEAK),
    ("POST", "/tts/enqueue", SPEAK),
    ("DELETE", "/tts/{id}", SPEAK),
    ("GET", "/tts/{id}/status", SPEAK),
    ("GET", "/tts/{id}/result", SPEAK),
    ("GET", "/tts/{id}/events", SPEAK),
    ("GET", "/tts/{id}/captions", SPEAK),
    ("GET", "/tts/{id}/stream", SPEAK),
    ("GET", "/tts/ws", SPEAK),
    ("GET", "/tts/stream/ws", SPEAK),
    ("POST", "/api/preview", SPEAK),
    ("POST", "/api/convert", SPEAK),
    ("GET", "/api/jobs", SPEAK),
    ("POST", "/api/jobs/delete", SPEAK),
    ("GET", "/api/jobs/export", SPEAK),
    ("GET", "/api/jobs/{id}", SPEAK),
    ("DELETE", "/api/jobs/{id}", SPEAK),
    ("POST", "/api/jobs/{id}/retry", SPEAK),
    ("POST", "/api/jobs/{id}/rerun", SPEAK),
    ("PUT", "/api/jobs/{id}/favourite", SPEAK),
    ("DELETE", "/api/jobs/{id}/favourite", SPEAK),
    ("POST", "/api/jobs/{id}/chunks/{chunk}/regenerate", SPEAK),
    ("GET", "/api/queue", SPEAK),
    ("GET", "/api/batches", SPEAK),
    ("POST", "/api/batches", SPEAK),
    ("GET", "/api/batches/{id}", SPEAK),
    ("DELETE", "/api/batches/{id}", SPEAK),
    ("GET", "/api/batches/{id}/result", SPEAK),
    ("GET", "/outputs/{file}", SPEAK),
    ("POST", "/mcp", SPEAK),
    ("POST", "/v1/audio/speech", SPEAK),
    ("POST", "/v1/text-to-speech/{voice}", SPEAK),
    ("POST", "/v1/text-to-speech/{voice}/stream", SPEAK),
    ("POST", "/v1/text-to-speech/{voice}/with-timestamps", SPEAK),
    ("POST", "/v1/text-to-speech/{voice}/stream/with-timestamps", SPEAK),
    ("POST", "/api/voices", VOICES),
    ("PATCH", "/api/voices/{id}", VOICES),
    ("DELETE", "/api/voices/{id}", VOICES),
    ("POST", "/upload_reference", VOICES),
    ("POST", "/upload_predefined_voice", VOICES),
    ("GET", "/api/keys", ADMIN),
    ("POST", "/api/keys", ADMIN),
    ("DELETE", "/api/keys/{id}", ADMIN),
    ("POST", "/api/models/{name}/load", ADMIN),
    ("POST", "/api/models/{name}/unload", ADMIN),
    ("POST", "/api/models/{name}/pull", ADMIN),
    ("DELETE", "/api/models/{name}/pull", ADMIN),
    ("POST", "/api/models/{name}/verify", ADMIN),
    ("DELETE", "/api/models/{name}", ADMIN),
    ("POST", "/api/unload", ADMIN),
    ("POST", "/api/queue/pause", ADMIN),
    ("POST", "/api/queue/resume", ADMIN),
    ("POST", "/api/queue/drain", ADMIN),
    ("GET", "/metrics", ADMIN),
    ("GET", "/api/settings", ADMIN),
    ("POST", "/save_settings", ADMIN),
    ("POST", "/reset_settings", ADMIN),
    ("POST", "/restart_server", ADMIN),
];

/// Every method that some endpoint answers to.
pub(super) fn methods() -> Vec<Method> {
    let named = TABLE.iter().filter_map(|(method, ..)| method.parse().ok());
    let mut methods = vec![Method::HEAD];
    for method in named {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::openapi::tests::routes;

    #[test]
    fn every_route_stands_in_the_table_and_nothing_that_is_none() {
        let entered: BTreeSet<(String, String)> =
            TABLE.iter().map(|(method, path, _)| (method.to_lowercase(), (*path).to_owned())).collect();
        assert_eq!(entered.len(), TABLE.len(), "an endpoint stands there twice");
        assert_eq!(entered, routes());
    }

    #[test]
    fn what_is_open_is_named_here_once_more() {
        let open: Vec<String> = TABLE
            .iter()
            .filter(|(.., needs)| *needs == Needs::Nothing)
            .map(|(method, path, _)| format!("{method} {path}"))
            .collect();
        assert_eq!(
            open,
            [
                "GET /",
                "GET /assets/{version}/{*path}",
                "GET /docs",
                "GET /openapi.json",
                "GET /healthz",
                "GET /readyz",
                "POST /api/session",
                "DELETE /api/session",
            ]
        );
    }

    #[test]
    fn what_is_not_entered_is_for_administrators() {
        assert_eq!(Needs::of(&Method::GET, "/new"), ADMIN);
        assert_eq!(Needs::of(&Method::PUT, "/tts"), ADMIN);
        assert_eq!(Needs::of(&Method::HEAD, "/healthz"), Needs::Nothing);
    }
}
