//! What configurations must hold, by kind of document.

mod agent;
mod examples;
mod fixture;
mod function;
mod server;
mod yaml;
