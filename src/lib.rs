//! The declaim speech server. Modules stand in import order: each imports only from those above it.

pub mod breakpoints;
pub mod metrics;
pub mod xml;

pub mod config;
pub mod files;
pub mod models;
pub mod voices;

pub mod speech;

pub mod jobs;

pub mod http;

pub mod wyoming;

pub mod app;

pub mod cli;
