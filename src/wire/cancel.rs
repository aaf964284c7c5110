//! What came of a cancel.

use super::proto;

/// What a cancel found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelOutcome {
    /// It ran, and no process of it is alive any more.
    Cancelled,
    /// It had ended before.
    AlreadyEnded,
    /// The agent keeps no such execution.
    UnknownExecution,
}

/// For the control plane; `success` is what a legacy one reads: the execution runs no more
/// because of this call.
pub(crate) fn cancel_to_proto(outcome: CancelOutcome) -> proto::CancelResponse {
    let (message, number) = match outcome {
        CancelOutcome::Cancelled => ("cancelled", proto::CancelOutcome::Cancelled),
        CancelOutcome::AlreadyEnded => (
            "the execution has ended",
            proto::CancelOutcome::AlreadyEnded,
        ),
        CancelOutcome::UnknownExecution => (
            "execution not found",
            proto::CancelOutcome::UnknownExecution,
        ),
    };
    proto::CancelResponse {
        success: outcome == CancelOutcome::Cancelled,
        message: message.to_owned(),
        outcome: number.into(),
    }
}

/// From an agent; `None` when a legacy one says no and leaves the reason open.
pub(crate) fn cancel_from_proto(message: &proto::CancelResponse) -> Option<CancelOutcome> {
    match proto::CancelOutcome::try_from(message.outcome).ok() {
        Some(proto::CancelOutcome::Cancelled) => Some(CancelOutcome::Cancelled),
        Some(proto::CancelOutcome::AlreadyEnded) => Some(CancelOutcome::AlreadyEnded),
        Some(proto::CancelOutcome::UnknownExecution) => Some(CancelOutcome::UnknownExecution),
        Some(proto::CancelOutcome::Unspecified) | None => {
            message.success.then_some(CancelOutcome::Cancelled)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancel_outcomes_survive_the_wire_and_a_legacy_agents_yes_is_one() {
        for outcome in [
            CancelOutcome::Cancelled,
            CancelOutcome::AlreadyEnded,
            CancelOutcome::UnknownExecution,
        ] {
            assert_eq!(cancel_from_proto(&cancel_to_proto(outcome)), Some(outcome));
        }
        let legacy = |success| proto::CancelResponse {
            success,
            ..Default::default()
        };
        assert_eq!(
            cancel_from_proto(&legacy(true)),
            Some(CancelOutcome::Cancelled)
        );
        assert_eq!(cancel_from_proto(&legacy(false)), None);
    }
}
