//! `GET /metrics`: what a monitor reads, in Prometheus' text format.
//!
//! No series bears the name of a voice, a key, a client or a job, so that their number stays small whatever is asked of the
//! server; models are named, since there are as many as somebody has installed.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Context;
use super::error::ApiError;
use crate::metrics::page::{MEDIA_TYPE, Page};
use crate::metrics::process;

pub(super) async fn metrics(State(context): State<Context>) -> Result<Response, ApiError> {
    let mut page = Page::default();
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.gauges("declaim_build_info", "The program; always 1.", [(version, 1.0)]);
    context.jobs.tell(&mut page).await?;
    context.engine.tell(&mut page);
    let taken = |most: usize, left: usize| most.saturating_sub(left) as f64;
    let limits = &context.settings.limits;
    page.gauge(
        "declaim_followers",
        "Clients that listen to what happens to jobs.",
        taken(limits.max_followers, context.following.available_permits()),
    );
    page.gauge(
        "declaim_waiting_requests",
        "Clients that wait for sound in the answer.",
        taken(limits.max_waiting_requests, context.waiting.available_permits()),
    );
    process::tell(&mut page);
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")], page.finish())
        .into_response())
}
