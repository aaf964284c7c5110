//! One exhaustive match from every error to its HTTP status, and the one JSON shape of errors.
//!
//! What the client reads and what the log reads are two messages: causes that tell about the
//! inside of the machine (paths, SQL, addresses of agents) go to the log.

use crate::archive::ArchiveError;
use crate::base::causes::with_causes;
use crate::config::error::FieldError;
use crate::contract::error::{BadField, ErrorBody, ErrorDetails};
use crate::control::agents::AgentError;
use crate::control::calls::CallError;
use crate::control::desired::FunctionError;
use crate::control::dispatch::DispatchError;
use crate::control::enrolment::EnrolmentError;
use crate::control::executions::ExecutionError;
use crate::control::fleet::{FleetError, WaitError};
use crate::control::machines::NoProvider;
use crate::control::plane::NotReady;
use crate::http::body::BodyError;
use crate::http::parse::Repeated;
use crate::http::response::Response;
use crate::http::status::Status;
use crate::model::ids::InvalidId;
use crate::policy::placement::NoRoom;
use crate::store::StoreError;

/// An error as the client sees it. Boxed, so that answers that succeed carry only a pointer's
/// worth of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError(Box<Details>);

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
    pub fn new(
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
    pub fn invalid(fields: Vec<FieldError>) -> ApiError {
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

    /// A path segment or query value that is no valid name.
    pub fn bad_id(error: &InvalidId) -> ApiError {
        ApiError::new(
            Status::UnprocessableContent,
            "invalid_name",
            error.to_string(),
            "names are lowercase; see the API's documentation",
        )
    }

    /// 405 with the methods there are.
    pub fn method_not_allowed(allow: String) -> ApiError {
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
    pub fn closing(mut self) -> ApiError {
        self.0.close = true;
        self
    }

    fn retry(mut self) -> ApiError {
        self.0.retry_after_s = Some(RETRY_AFTER_S);
        self
    }

    /// The HTTP answer.
    pub fn into_response(self) -> Response {
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

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        let (code, hint) = match &error {
            BodyError::TooLarge { .. } => (
                "body_too_large",
                "send less, or raise the limit in flux.yaml",
            ),
            BodyError::Timeout => ("body_timeout", "send the body faster, or in smaller parts"),
            BodyError::Truncated | BodyError::Disconnected(_) => {
                ("body_truncated", "send the whole body")
            }
            BodyError::Malformed(_) => ("body_malformed", "the chunked coding is broken"),
            BodyError::Destination(_) | BodyError::AlreadyRead => {
                log::error!("{}", with_causes(&error));
                (
                    "body_not_stored",
                    "the control plane's log tells more; its disk may be full",
                )
            }
        };
        ApiError::new(error.status(), code, with_causes(&error), hint).closing()
    }
}

impl From<Repeated> for ApiError {
    fn from(error: Repeated) -> ApiError {
        ApiError::new(
            Status::BadRequest,
            "repeated_header",
            error.to_string(),
            "send the header once",
        )
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> ApiError {
        match error {
            CallError::Dispatch(error) => dispatch(&error),
            CallError::Execution(error) => error.into(),
            CallError::KeyReused => ApiError::new(
                Status::Conflict,
                "idempotency_key_reused",
                error.to_string(),
                "use a fresh key for a different call",
            ),
            CallError::KeyPending(_) => ApiError::new(
                Status::Conflict,
                "idempotency_pending",
                error.to_string(),
                "try again after it has ended, or read the execution",
            )
            .retry(),
            CallError::KeyUnsettled(_) => ApiError::new(
                Status::Conflict,
                "outcome_unknown",
                error.to_string(),
                "it may have run; use a fresh key to run it again",
            ),
            CallError::Store(ref cause) => store(cause, &error),
        }
    }
}

impl From<ExecutionError> for ApiError {
    fn from(error: ExecutionError) -> ApiError {
        match error {
            ExecutionError::NotFound(_) => ApiError::new(
                Status::NotFound,
                "execution_not_found",
                error.to_string(),
                "records are kept for a limited time after the end",
            ),
            ExecutionError::Ended { .. } => ApiError::new(
                Status::Conflict,
                "execution_ended",
                error.to_string(),
                "only a running execution can be cancelled",
            ),
            ExecutionError::AgentUnreachable { .. } => {
                log::warn!("{}", with_causes(&error));
                ApiError::new(
                    Status::ServiceUnavailable,
                    "agent_unreachable",
                    with_causes(&error),
                    "the execution's agent cannot be asked now; try again",
                )
                .retry()
            }
            ExecutionError::CancelUnconfirmed { .. } => ApiError::new(
                Status::ServiceUnavailable,
                "cancel_unconfirmed",
                error.to_string(),
                "it was told to stop; try again to have its end confirmed",
            )
            .retry(),
            ExecutionError::Store(ref cause) => store(cause, &error),
        }
    }
}

impl From<AgentError> for ApiError {
    fn from(error: AgentError) -> ApiError {
        match error {
            AgentError::Fleet(error) => fleet(&error),
            AgentError::BadAddress { .. } => ApiError::new(
                Status::UnprocessableContent,
                "invalid_address",
                error.to_string(),
                "give the agent's address as host:port",
            ),
            AgentError::Unidentified { .. } => ApiError::new(
                Status::BadGateway,
                "agent_unreachable",
                with_causes(&error),
                "check that flux-agent runs there, that its certificate is of this fleet, and that tls is set alike on both sides",
            ),
        }
    }
}

impl From<EnrolmentError> for ApiError {
    fn from(error: EnrolmentError) -> ApiError {
        match error {
            EnrolmentError::PkiDisabled => ApiError::new(
                Status::Conflict,
                "pki_disabled",
                error.to_string(),
                "remove disable_grpc_tls from flux.yaml to enrol agents",
            ),
            EnrolmentError::Pki(_) => internal(&error, "pki_failed"),
            EnrolmentError::Unsound(_) | EnrolmentError::TokenRefused => ApiError::new(
                Status::Unauthorized,
                "token_refused",
                error.to_string(),
                "make a fresh token with: flux agent enroll ID",
            ),
            EnrolmentError::Store(ref cause) => store(cause, &error),
        }
    }
}

impl From<NoProvider> for ApiError {
    fn from(error: NoProvider) -> ApiError {
        ApiError::new(
            Status::ServiceUnavailable,
            "no_provider",
            error.to_string(),
            "this version makes no machines; register agents with POST /agents/register",
        )
    }
}

impl From<NotReady> for ApiError {
    fn from(error: NotReady) -> ApiError {
        match error {
            NotReady::ShuttingDown => shutting_down(),
            NotReady::Store(ref cause) => store(cause, &error),
        }
    }
}

impl From<FunctionError> for ApiError {
    fn from(error: FunctionError) -> ApiError {
        match error {
            FunctionError::NotFound(_) => ApiError::new(
                Status::NotFound,
                "function_not_found",
                error.to_string(),
                "register it first with PUT /functions",
            ),
            FunctionError::NoVersion { .. } => ApiError::new(
                Status::NotFound,
                "version_not_found",
                error.to_string(),
                "see GET /functions/{name}/versions",
            ),
            FunctionError::NoEarlierVersion(_) => ApiError::new(
                Status::Conflict,
                "no_earlier_version",
                error.to_string(),
                "see GET /functions/{name}/versions",
            ),
            FunctionError::HandlerMissing { .. } => ApiError::new(
                Status::UnprocessableContent,
                "handler_missing",
                error.to_string(),
                "put the handler into the archive at exactly that path, or register the function with another handler",
            ),
            FunctionError::TooMany => ApiError::new(
                Status::Conflict,
                "too_many_functions",
                error.to_string(),
                "delete functions that are not needed any more",
            ),
            FunctionError::Archive(error) => archive(&error),
            FunctionError::Store(ref cause) => store(cause, &error),
        }
    }
}

fn archive(error: &ArchiveError) -> ApiError {
    if error.is_refusal() {
        return ApiError::new(
            Status::UnprocessableContent,
            error.code(),
            with_causes(error),
            "make the archive again without it",
        );
    }
    internal(error, "archive_unreadable")
}

fn fleet(error: &FleetError) -> ApiError {
    match error {
        FleetError::UnknownAgent(_) => ApiError::new(
            Status::NotFound,
            "agent_not_found",
            error.to_string(),
            "see GET /agents",
        ),
        FleetError::AddressConflict { .. } => ApiError::new(
            Status::Conflict,
            "agent_conflict",
            error.to_string(),
            "remove it first with DELETE /agents/{id}, or give the new agent another id",
        ),
        FleetError::Illegal(_) => ApiError::new(
            Status::Conflict,
            "illegal_transition",
            error.to_string(),
            "see GET /agents",
        ),
        FleetError::Store(cause) => store(cause, error),
    }
}

fn dispatch(error: &DispatchError) -> ApiError {
    match error {
        DispatchError::NoSlot(error) => no_slot(error),
        DispatchError::Invalid(_) => ApiError::new(
            Status::UnprocessableContent,
            "refused_by_agent",
            error.to_string(),
            "the agent's own limits are in its agent.yaml",
        ),
        DispatchError::NotTaken(_) => ApiError::new(
            Status::ServiceUnavailable,
            "not_taken",
            error.to_string(),
            "the agents are changing; try again",
        )
        .retry(),
        DispatchError::Unknown { execution, .. } => ApiError::new(
            Status::ServiceUnavailable,
            "outcome_unknown",
            error.to_string(),
            format!("ask GET /executions/{execution} before you send it again"),
        ),
        // Nobody reads it.
        DispatchError::ClientGone => ApiError::new(
            Status::ServiceUnavailable,
            "client_gone",
            error.to_string(),
            "",
        ),
        DispatchError::Store(cause) => store(cause, error),
    }
}

fn no_slot(error: &WaitError) -> ApiError {
    match error {
        WaitError::FunctionNotFound(_) => ApiError::new(
            Status::NotFound,
            "function_not_found",
            error.to_string(),
            "register it first with PUT /functions",
        ),
        WaitError::NotDeployed(name) => ApiError::new(
            Status::Conflict,
            "function_not_deployed",
            error.to_string(),
            format!("deploy it first with PUT /deploy/{name}"),
        ),
        WaitError::NoRoom(reason) | WaitError::WaitedTooLong { reason, .. } => {
            no_room(*reason, error)
        }
        WaitError::QueueFull { .. } => ApiError::new(
            Status::ServiceUnavailable,
            "queue_full",
            error.to_string(),
            "more calls wait already than may; try again later",
        )
        .retry(),
        WaitError::ClientGone => ApiError::new(
            Status::ServiceUnavailable,
            "client_gone",
            error.to_string(),
            "",
        ),
        WaitError::ShuttingDown => shutting_down(),
    }
}

fn no_room(reason: NoRoom, error: &WaitError) -> ApiError {
    let waited = match error {
        WaitError::WaitedTooLong { waited, .. } => {
            format!(", also after waiting {} s", waited.as_secs())
        }
        _ => String::new(),
    };
    match reason {
        NoRoom::NoAgent => ApiError::new(
            Status::ServiceUnavailable,
            "no_agent",
            format!("no agent is online{waited}"),
            "register one with POST /agents/register; see GET /agents",
        ),
        NoRoom::NotIsolated => ApiError::new(
            Status::ServiceUnavailable,
            "not_isolated",
            format!("no online agent enforces the isolation that the function asks for{waited}"),
            "compare the function's isolation with isolation_missing in GET /agents",
        ),
        NoRoom::NotSynced => ApiError::new(
            Status::ServiceUnavailable,
            "not_synced",
            format!("no online agent holds the function's current code yet{waited}"),
            "try again shortly; GET /agents and the log tell what keeps them",
        ),
        NoRoom::AtCapacity => ApiError::new(
            Status::ServiceUnavailable,
            "at_capacity",
            format!("every agent runs as many executions of the function as it may{waited}"),
            "try again, raise max_concurrency, or set max_concurrency_behavior: wait",
        ),
        NoRoom::ResourcePressure => ApiError::new(
            Status::TooManyRequests,
            "resource_pressure",
            format!("no agent has the memory or CPU that the function asks for{waited}"),
            "try again, ask for less, or set resource_pressure_behavior: wait",
        ),
    }
    .retry()
}

fn store(error: &StoreError, whole: &dyn std::error::Error) -> ApiError {
    match error {
        StoreError::FunctionNotFound { .. } => ApiError::new(
            Status::NotFound,
            "function_not_found",
            error.to_string(),
            "register it first with PUT /functions",
        ),
        StoreError::VersionNotKept { .. } => ApiError::new(
            Status::NotFound,
            "version_not_found",
            error.to_string(),
            "see GET /functions/{name}/versions",
        ),
        StoreError::Conflict { .. } => ApiError::new(
            Status::Conflict,
            "conflict",
            error.to_string(),
            "somebody else changed it at the same time; look and try again",
        ),
        StoreError::LimitReached { .. } => ApiError::new(
            Status::ServiceUnavailable,
            "limit_reached",
            error.to_string(),
            "wait until older ones have expired",
        )
        .retry(),
        StoreError::Full { .. } => {
            log::error!("{}", with_causes(whole));
            ApiError::new(
                Status::ServiceUnavailable,
                "store_full",
                format!("{whole}: the store is full"),
                "free space on the disk of state_dir",
            )
            .retry()
        }
        StoreError::Unavailable { .. }
        | StoreError::ArchiveMissing { .. }
        | StoreError::ArchiveMismatch { .. }
        | StoreError::Corrupt { .. } => {
            log::error!("{}", with_causes(whole));
            ApiError::new(
                Status::ServiceUnavailable,
                "store_unavailable",
                format!("{whole}: the store does not answer as it should"),
                "the control plane's log tells why",
            )
            .retry()
        }
    }
}

fn shutting_down() -> ApiError {
    ApiError::new(
        Status::ServiceUnavailable,
        "shutting_down",
        "the control plane is shutting down",
        "try again in a moment",
    )
    .retry()
}

fn internal(error: &dyn std::error::Error, code: &'static str) -> ApiError {
    log::error!("{}", with_causes(error));
    ApiError::new(
        Status::InternalServerError,
        code,
        error.to_string(),
        "the control plane's log tells more",
    )
}
