//! Every error of the services as the client sees it.

mod api_error;

pub use api_error::ApiError;
