//! The one JSON shape of errors, with the status and the headers that go with it.
//!
//! Refuses: knowing what failed; the files beside it say that, each for the errors of one service.

use crate::base::causes::with_causes;
use crate::config::error::FieldError;
use crate::contract::error::{BadField, ErrorBody, ErrorDetails};
use crate::http::response::Response;
use crate::http::status::Status;

/// An error as the client sees it. Boxed, so that answers that succeed carry only a pointer's
/// worth of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    status: Status,
    code: &'static str,
    message: String,
    hint: String,
    fields: Vec<FieldError>,
    retry_after_s: Option<u32>,
    allow: Option<String>,
    close: bool,
}

/// Seconds after which a client whose call found no room may try again: executions that take
/// much longer are better called with `wait` or asynchronously.
const RETRY_AFTER_S: u32 = 1;

impl ApiError {
    /// `code` is stable and for programs, `message` and `hint` are for people.
    pub(crate) fn new(
        status: Status,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> ApiError {
        ApiError(Box::new(Details {
            status,
            code,
            message: message.into(),
            hint: hint.into(),
            fields: Vec::new(),
            retry_after_s: None,
            allow: None,
            close: false,
        }))
    }

    /// 422 with each bad field named.
    pub(crate) fn invalid(fields: Vec<FieldError>) -> ApiError {
        let message = fields
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ");
        let mut error = ApiError::new(
            Status::UnprocessableContent,
            "invalid",
            message,
            "correct the named fields and send the request again",
        );
        error.0.fields = fields;
        error
    }

    /// 503: the control plane ends.
    pub(super) fn shutting_down() -> ApiError {
        ApiError::new(
            Status::ServiceUnavailable,
            "shutting_down",
            "the control plane is shutting down",
            "try again in a moment",
        )
        .retry()
    }

    /// 500 with the error alone; its causes go to the log, because they tell of the machine.
    pub(super) fn internal(error: &dyn std::error::Error, code: &'static str) -> ApiError {
        log::error!("{}", with_causes(error));
        ApiError::new(
            Status::InternalServerError,
            code,
            error.to_string(),
            "the control plane's log tells more",
        )
    }

    /// 405 with the methods there are.
    pub(crate) fn method_not_allowed(allow: String) -> ApiError {
        let mut error = ApiError::new(
            Status::MethodNotAllowed,
            "method_not_allowed",
            "this path does not take this method",
            format!("it takes {allow}"),
        );
        error.0.allow = Some(allow);
        error
    }

    /// Ends the connection after the answer, for a request whose body is not read.
    #[must_use]
    pub(crate) fn closing(mut self) -> ApiError {
        self.0.close = true;
        self
    }

    /// Has the client try again in a moment.
    pub(super) fn retry(mut self) -> ApiError {
        self.0.retry_after_s = Some(RETRY_AFTER_S);
        self
    }

    /// The HTTP answer.
    pub(crate) fn into_response(self) -> Response {
        let details = *self.0;
        let fields = details.fields.into_iter().map(|field| BadField {
            field: field.field,
            message: field.message,
        });
        let body = ErrorBody {
            error: ErrorDetails {
                code: details.code.to_owned(),
                message: details.message,
                hint: details.hint,
                fields: fields.collect(),
            },
        };
        // Texts alone: there is nothing that could fail to become JSON.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::bytes(details.status, "application/json", body);
        if let Some(seconds) = details.retry_after_s {
            response = response.header("Retry-After", seconds.to_string());
        }
        if let Some(allow) = details.allow {
            response = response.header("Allow", allow);
        }
        if details.status == Status::Unauthorized {
            response = response.header("WWW-Authenticate", "Bearer");
        }
        if details.close {
            response = response.close();
        }
        response
    }
}
