//! The OpenAPI description of every route, for programs and for the page at `/docs`.
//!
//! Handlers read their bodies field by field, to tell mistakes in their own words, so there are no types from which a macro could
//! derive it. It is built from the same constants instead: ranges and formats are those that requests are checked against, the
//! shape of an error is that of the dialect. A test compares it with the router, so no route is missing.

mod keys;
mod operations;
mod queue;
mod schemas;

use std::sync::LazyLock;

use axum::Json;
use axum::http::Method;
use serde_json::{Map, Value, json};

use super::access::Needs;
use super::auth::COOKIE;
use super::dialect::Dialect;
use operations::operations;

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

pub(super) async fn serve() -> Json<&'static Value> {
    Json(&*DOCUMENT)
}

/// A media type and the schema of what is sent in it.
type Content = (&'static str, Value);

/// What an operation gives when it does what was asked.
struct Answer {
    status: u16,
    description: &'static str,
    content: Option<Content>,
}

/// One method of one path.
struct Operation {
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    /// Media type and schema, each a way to send it.
    body: Vec<Content>,
    answers: Vec<Answer>,
}

impl Operation {
    fn new(method: &'static str, path: &'static str, tag: &'static str, summary: &'static str) -> Self {
        let named = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        let parameters = named
            .map(|name| {
                let schema =
                    if name == "id" && ["/tts/", "/api/jobs/"].iter().any(|root| path.starts_with(root)) {
                        json!({ "type": "string", "format": "uuid" })
                    } else {
                        json!({ "type": "string", "minLength": 1 })
                    };
                json!({ "name": name, "in": "path", "required": true, "schema": schema })
            })
            .collect();
        Self { method, path, tag, summary, parameters, body: Vec::new(), answers: Vec::new() }
    }

    fn query(mut self, name: &str, schema: &Value, description: &str) -> Self {
        self.parameters.push(
            json!({ "name": name, "in": "query", "required": false, "schema": schema, "description": description }),
        );
        self
    }

    fn takes(mut self, media_type: &'static str, schema: Value) -> Self {
        self.body.push((media_type, schema));
        self
    }

    /// A JSON body of a named schema.
    fn json_body(self, schema: &str) -> Self {
        let schema = reference(schema);
        self.takes("application/json", schema)
    }

    fn gives(mut self, status: u16, description: &'static str, content: Option<Content>) -> Self {
        self.answers.push(Answer { status, description, content });
        self
    }

    /// 200 with JSON of a named schema.
    fn json(self, description: &'static str, schema: &str) -> Self {
        let schema = reference(schema);
        self.gives(200, description, Some(("application/json", schema)))
    }

    /// 200 with JSON of a schema that nobody else uses.
    fn object(self, description: &'static str, schema: Value) -> Self {
        self.gives(200, description, Some(("application/json", schema)))
    }

    /// 200 with sound, also in parts where it is a file that is there.
    fn sound(self, description: &'static str) -> Self {
        self.gives(200, description, Some(("audio/*", json!({ "type": "string", "format": "binary" }))))
    }

    fn described(&self) -> Value {
        let error = match Dialect::of(self.path) {
            Dialect::Ours => "Error",
            Dialect::OpenAi => "OpenAiError",
            Dialect::ElevenLabs => "ElevenLabsError",
        };
        let content = |media_type: &str, schema: &Value| json!({ (media_type): { "schema": schema } });
        let mut responses = Map::new();
        for Answer { status, description, content: body } in &self.answers {
            let response =
                responses.entry(status.to_string()).or_insert_with(|| json!({ "description": description }));
            // An operation may have several forms of the same answer.
            if let Some((media_type, schema)) = body {
                response["content"][*media_type] = json!({ "schema": schema });
            }
        }
        responses.insert(
            "default".to_owned(),
            json!({
                "description": "A refusal or a failure, as a sentence",
                "content": content("application/json", &reference(error)),
            }),
        );
        let mut described = json!({
            "operationId": self.id(),
            "tags": [self.tag],
            "summary": self.summary,
            "responses": responses,
        });
        described["security"] = self.security();
        if !self.parameters.is_empty() {
            described["parameters"] = json!(self.parameters);
        }
        if !self.body.is_empty() {
            let ways: Map<String, Value> = self
                .body
                .iter()
                .map(|(media_type, schema)| ((*media_type).to_owned(), json!({ "schema": schema })))
                .collect();
            described["requestBody"] = json!({ "required": true, "content": ways });
        }
        described
    }

    /// What a key must be for, in each way to bring one; or nothing, which is also enough where keys are off.
    fn security(&self) -> Value {
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes()).unwrap_or_default();
        let scopes = match Needs::of(&method, self.path) {
            Needs::Nothing => return json!([]),
            Needs::AnyKey => json!([]),
            Needs::A(scope) => json!([scope]),
        };
        json!([{}, { "bearer": scopes }, { "xi-api-key": scopes }, { "session": scopes }])
    }

    /// `POST /tts/enqueue` → `post_tts_enqueue`.
    fn id(&self) -> String {
        let words = self.path.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        std::iter::once(self.method).chain(words).collect::<Vec<_>>().join("_")
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method] = operation.described();
    }
    let tags: Vec<Value> = operations::TAGS
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "declaim",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Text to speech on your own machine. Every surface walks the same path and shares voices, models and the queue.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas::schemas(),
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "A key, where the server asks for keys (auth.keys). The scopes are speak, voices and admin, which includes them",
                },
                "xi-api-key": { "type": "apiKey", "in": "header", "name": "xi-api-key", "description": "The same, as ElevenLabs' clients send it" },
                "session": { "type": "apiKey", "in": "cookie", "name": COOKIE, "description": "For the page: what POST /api/session gives for a key" },
            },
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is for browsers and describes itself, and WebSockets, which OpenAPI has no words for; docs/API.md has.
    const PAGES: [&str; 6] =
        ["/", "/assets/{version}/{*path}", "/docs", "/openapi.json", "/tts/ws", "/tts/stream/ws"];

    /// `(method, path)` of every route in the router's source.
    pub(in crate::http) fn routes() -> BTreeSet<(String, String)> {
        let source = include_str!("../mod.rs").replace(['\n', ' '], "");
        let mut found = BTreeSet::new();
        for route in source.split(".route(\"").skip(1) {
            let (path, rest) = route.split_once("\",").unwrap();
            // Up to the end of the line's chain of methods.
            let handlers = rest.split(".route(").next().unwrap().split(".layer(").next().unwrap();
            for method in ["get", "post", "patch", "delete", "put"] {
                let calls = [format!("{method}("), format!(".{method}(")];
                if handlers.starts_with(&calls[0]) || handlers.contains(&calls[1]) {
                    found.insert((method.to_owned(), path.to_owned()));
                }
            }
        }
        found
    }

    #[test]
    fn every_route_is_described_and_nothing_that_is_none() {
        let described: BTreeSet<(String, String)> = operations()
            .iter()
            .map(|operation| (operation.method.to_owned(), operation.path.to_owned()))
            .collect();
        let routes: BTreeSet<_> =
            routes().into_iter().filter(|(_, path)| !PAGES.contains(&path.as_str())).collect();
        assert!(routes.len() > 30, "the routes were not found");
        assert_eq!(described, routes);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_its_own_id() {
        let document = document();
        let text = document.to_string();
        for rest in text.split("\"#/components/schemas/").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
        for (name, _) in document["components"]["schemas"].as_object().unwrap() {
            assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "nobody uses {name}");
        }
        let operations = operations();
        let ids: BTreeSet<String> = operations.iter().map(Operation::id).collect();
        assert_eq!(ids.len(), operations.len());
    }
}
