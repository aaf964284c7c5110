//! `flux exec`: `run` starts a function and shows it to its end; `request` is what is sent for that.

mod request;
mod run;

pub(crate) use run::{Arguments, run};
