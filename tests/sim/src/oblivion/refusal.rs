//! Why the cloud does not do what it was asked for, and the HTTP status of it.

use hyper::StatusCode;

/// A decided "no". Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the body cannot be read: {0}")]
    MalformedBody(String),
    #[error("`{0}` is missing")]
    MissingField(String),
    #[error("`{field}`: {why}")]
    InvalidField { field: String, why: String },
    #[error("no order {0} is known")]
    OrderNotFound(String),
    #[error("no minion {0} is known")]
    MinionNotFound(String),
    #[error("nothing is served at {0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("the first request with this Idempotency-Key is still running")]
    KeyRunning,
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    Injected(String, StatusCode),
    #[error("the log cannot be written: {0}")]
    Storage(String),
}

impl Refusal {
    pub(crate) fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::InvalidField { field: field.into(), why: why.into() }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::MalformedBody(_) | Self::MissingField(_) | Self::InvalidField { .. } => StatusCode::BAD_REQUEST,
            Self::OrderNotFound(_) | Self::MinionNotFound(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) | Self::KeyRunning => StatusCode::CONFLICT,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Injected(_, status) => *status,
            Self::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable word for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::MalformedBody(_) => "malformed_body",
            Self::MissingField(_) => "missing_field",
            Self::InvalidField { .. } => "invalid_field",
            Self::OrderNotFound(_) => "order_not_found",
            Self::MinionNotFound(_) => "minion_not_found",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::KeyRunning => "idempotency_key_running",
            Self::KeyReused => "idempotency_key_reused",
            Self::TooLarge(_) => "body_too_large",
            Self::Injected(..) => "injected_fault",
            Self::Storage(_) => "storage",
        }
    }
}
