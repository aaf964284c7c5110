//! Every call, from one end to the other.

use std::time::Duration;

use flux::base::cancel::{Cancel, pair as token_pair};
use flux::model::ends::{EndedOutput, Mark, Settled};
use flux::model::execution::{Ending, Executed, Status};
use flux::model::function::{Behavior, DEFAULT_MAX_WAIT, FunctionConfig, HandlerPath};
use flux::model::output::{Output, Stream};
use flux::rpc::RpcError;
use flux::wire::cancel::CancelOutcome;
use flux::wire::drain::DrainState;
use flux::wire::ends::{EndsQuery, SettleQuery};
use flux::wire::error::ErrorKind;
use flux::wire::execute::ExecuteRequest;
use flux::wire::function::config_digest;
use flux::wire::listing::ExecutionQuery;
use flux::wire::output::{OutputQuery, Selection};

use super::double::{BIG, REMARK, Seen};
use super::fixture::{PATIENCE, Pair, answer_within, execution, function, id, now, pair, request};
use crate::runner::tests;

tests![
    an_execution_comes_back_with_its_record_and_output,
    twenty_megabytes_of_output_arrive_whole,
    an_accepted_execution_comes_back_running,
    every_refusal_arrives_as_its_kind_and_says_what_may_be_concluded,
    a_worker_that_answers_from_the_wrong_thread_blocks_nothing,
    a_worker_that_forgets_to_answer_interrupts_the_call,
    a_record_of_something_else_than_was_asked_for_is_no_answer,
    a_pending_execution_can_be_waited_for_beside_a_token,
    many_executions_share_a_connection,
    a_request_that_no_message_can_carry_is_not_sent,
    a_configuration_arrives_with_its_digest,
    the_small_calls_reach_the_worker_and_come_back,
    a_record_is_read_with_its_output_so_far,
    output_that_grows_beyond_a_message_as_json_is_cut_and_says_so,
    pieces_of_output_are_read_in_bounded_size,
    ends_are_read_after_a_mark_and_fates_are_settled,
];

fn execute(pair: &Pair, request: ExecuteRequest) -> Result<Executed, RpcError> {
    let pending = pair.client.start_execute(request, Some(PATIENCE), now())?;
    pending.wait(&Cancel::never()).expect("never cancelled")
}

fn kind(result: Result<Executed, RpcError>) -> Option<ErrorKind> {
    Some(result.err()?.refusal()?.kind)
}

fn an_execution_comes_back_with_its_record_and_output() {
    let pair = pair();
    let wish = request("echo");
    let executed = execute(&pair, wish.clone()).unwrap();
    assert_eq!(executed.output.bytes, b"ab");
    assert_eq!(executed.record.id, wish.id);
    assert_eq!(executed.record.ending, Some(Ending::Exited(0)));
    assert_eq!(executed.record.queued, Duration::from_millis(9));
    let failed = execute(&pair, request("fails")).unwrap();
    assert_eq!(failed.record.ending, Some(Ending::Exited(3)));
}

fn twenty_megabytes_of_output_arrive_whole() {
    let executed = execute(&pair(), request("big")).unwrap();
    assert_eq!(executed.output.bytes.len(), BIG);
    assert!(
        executed
            .output
            .bytes
            .iter()
            .enumerate()
            .all(|(i, &byte)| byte == (i % 251) as u8)
    );
    assert!(!executed.record.truncated);
}

fn an_accepted_execution_comes_back_running() {
    let wish = ExecuteRequest {
        asynchronous: true,
        ..request("accept")
    };
    let executed = execute(&pair(), wish).unwrap();
    assert_eq!(executed.record.status(), Status::Running);
}

fn every_refusal_arrives_as_its_kind_and_says_what_may_be_concluded() {
    let pair = pair();
    for (index, &expected) in ErrorKind::ALL.iter().enumerate() {
        let name = format!("refuse-{index}");
        let error = execute(&pair, request(&name)).expect_err("refused");
        let refusal = error.refusal().expect("typed").clone();
        assert_eq!((refusal.kind, refusal.subject), (expected, name));
        let may_have_started = matches!(expected, ErrorKind::ExecutionExists | ErrorKind::Storage);
        assert_eq!(error.nothing_started(), !may_have_started, "{expected:?}");
    }
    let late = kind(execute(&pair, request("late-refusal")));
    assert_eq!(late, Some(ErrorKind::Storage));
}

fn a_worker_that_answers_from_the_wrong_thread_blocks_nothing() {
    let pair = pair();
    for _ in 0..8 {
        assert_eq!(
            execute(&pair, request("inline")).unwrap().output.bytes,
            b"ab"
        );
    }
}

fn a_worker_that_forgets_to_answer_interrupts_the_call() {
    let error = execute(&pair(), request("forget")).expect_err("no answer");
    assert!(matches!(error, RpcError::Interrupted { .. }), "{error:?}");
    assert!(!error.nothing_started());
}

fn a_record_of_something_else_than_was_asked_for_is_no_answer() {
    let pair = pair();
    let error = execute(&pair, request("another")).unwrap_err();
    assert!(matches!(error, RpcError::Answer(_)), "{error:?}");
    assert!(!error.nothing_started());
}

fn a_pending_execution_can_be_waited_for_beside_a_token() {
    let pair = pair();
    let pending = pair
        .client
        .start_execute(request("hold"), None, now())
        .unwrap();
    let Seen::Held(held, on_done) = pair.agent.next_seen() else {
        panic!("not held");
    };
    let (trigger, cancel) = token_pair();
    trigger.pull();
    assert!(pending.wait(&cancel).is_none());
    let record = super::fixture::record(&id("agent-1"), &held, Some(Ending::Cancelled));
    on_done(Ok(Executed {
        record,
        output: Output::default(),
    }));
    let answer = answer_within(&pending, PATIENCE).expect("an answer");
    assert_eq!(answer.unwrap().record.status(), Status::Cancelled);
}

fn many_executions_share_a_connection() {
    let pair = pair();
    let pending: Vec<_> = (0..200)
        .map(|_| {
            pair.client
                .start_execute(request("echo"), None, now())
                .unwrap()
        })
        .collect();
    for pending in pending {
        assert!(pending.wait(&Cancel::never()).unwrap().is_ok());
    }
}

fn a_request_that_no_message_can_carry_is_not_sent() {
    let wish = ExecuteRequest {
        stdin: vec![0; 60 << 20],
        ..request("echo")
    };
    let error = execute(&pair(), wish).expect_err("too large");
    assert!(matches!(error, RpcError::TooLarge { .. }), "{error:?}");
    assert!(error.nothing_started());
}

fn a_configuration_arrives_with_its_digest() {
    let pair = pair();
    let config = FunctionConfig {
        disk: Some(flux::base::units::Mib(7)),
        pids: std::num::NonZeroU32::new(9),
        isolation: flux::model::isolation::IsolationRequest {
            network: Some(flux::model::isolation::NetworkIsolation::None),
            ..Default::default()
        },
        name: function("resize"),
        handler: HandlerPath::new("bin/run").unwrap(),
        cpu_millicores: None,
        memory: None,
        timeout: Some(Duration::from_secs(5)),
        max_concurrency: std::num::NonZeroU32::new(2).unwrap(),
        max_concurrency_behavior: Behavior::Wait,
        resource_pressure_behavior: Behavior::default(),
        max_wait: DEFAULT_MAX_WAIT,
        env: [("A".to_owned(), "1".to_owned())].into(),
    };
    assert_eq!(pair.client.register_function(&config).unwrap(), REMARK);
    let Seen::Registered(received) = pair.agent.next_seen() else {
        panic!("not registered");
    };
    assert_eq!(received.config_digest, config_digest(&config).as_str());
    assert_eq!(received.config, config);
}

fn ends_are_read_after_a_mark_and_fates_are_settled() {
    let Pair { client, .. } = &pair();
    let mark = Mark {
        boot_id: "before".into(),
        sequence: 5,
    };
    let query = EndsQuery {
        after: Some(mark.clone()),
        limit: 1,
    };
    let ends = client.read_ends(&query).unwrap();
    assert_eq!((&ends.mark, ends.more), (&mark, true));
    let (sequence, ended) = &ends.ended[0];
    assert_eq!(
        (*sequence, ended.record.ending),
        (1, Some(Ending::Exited(0)))
    );
    let output = EndedOutput::Whole(Output::of_stdout(b"out".to_vec()));
    assert_eq!(ended.output, output);

    let settle = |text: &str| {
        let query = SettleQuery {
            execution: execution(text),
            function: function("echo"),
            accepted_at: now(),
        };
        client.settle(&query).unwrap()
    };
    assert_eq!(settle("runs"), Settled::Running);
    assert_eq!(settle("other"), Settled::Forgotten);
    match settle("ended") {
        Settled::Ended(record) => assert_eq!(record.ending, Some(Ending::Lost)),
        other => panic!("{other:?}"),
    }
}

fn the_small_calls_reach_the_worker_and_come_back() {
    let pair = pair();
    let Pair { client, agent, .. } = &pair;

    let health = client.health().unwrap();
    assert!(health.healthy && health.version == "9.9");

    let report = client.node_status(now(), None).unwrap();
    assert_eq!(report.status.active_tasks, 5);
    assert_eq!(report.functions_digest.as_deref(), Some("held"));
    assert!(!client.is_legacy());

    let kept = Mark {
        boot_id: "boot".into(),
        sequence: 1,
    };
    client.node_status(now(), Some(&kept)).unwrap();
    assert!(matches!(agent.next_seen(), Seen::Kept(mark) if mark == kept));

    client.remove_function(&function("old")).unwrap();
    assert!(matches!(agent.next_seen(), Seen::Removed(name) if name == function("old")));

    let held = client
        .list_functions()
        .unwrap()
        .expect("a Flux agent lists");
    assert_eq!(held[0].name, function("echo"));

    for (text, outcome) in [
        ("running", CancelOutcome::Cancelled),
        ("ended", CancelOutcome::AlreadyEnded),
        ("unknown", CancelOutcome::UnknownExecution),
    ] {
        assert_eq!(client.cancel(&execution(text)).unwrap(), outcome);
        assert!(matches!(agent.next_seen(), Seen::Cancelled(id) if id.as_str() == text));
    }

    let query = ExecutionQuery {
        function: Some(function("f")),
        status: Some(Status::Failed),
        limit: 3,
        before: Some(execution("z")),
        ended_after: None,
    };
    let listed = client.list_executions(&query).unwrap();
    assert_eq!(listed[0].ending, Some(Ending::Lost));
    assert!(matches!(agent.next_seen(), Seen::Listed(seen) if seen == query));

    let state = client.drain(true).unwrap();
    assert_eq!(
        state,
        DrainState {
            draining: true,
            active_tasks: 4
        }
    );
    assert!(matches!(agent.next_seen(), Seen::Drained(true)));
}

fn a_record_is_read_with_its_output_so_far() {
    let pair = pair();
    let found = pair
        .client
        .get_execution(&execution("e1"))
        .unwrap()
        .unwrap();
    assert_eq!(found.record.id, execution("e1"));
    assert_eq!(found.output.bytes, "so far \u{fffd}".as_bytes());
    assert_eq!(
        pair.client.get_execution(&execution("unknown")).unwrap(),
        None
    );
}

fn output_that_grows_beyond_a_message_as_json_is_cut_and_says_so() {
    let found = pair()
        .client
        .get_execution(&execution("expanding"))
        .unwrap();
    let Executed { record, output } = found.expect("found");
    assert!(record.truncated);
    assert!(output.bytes.len() > 1 << 20 && output.bytes.len() < BIG);
}

fn pieces_of_output_are_read_in_bounded_size() {
    let pair = pair();
    let mut query = OutputQuery {
        execution: execution("e1"),
        selection: Selection::Only(Stream::Stderr),
        offset: 7,
        limit: u64::MAX,
    };
    let piece = pair.client.read_output(&query).unwrap().expect("found");
    assert_eq!(
        (piece.data.as_slice(), piece.total, piece.ended),
        (&b"piece"[..], 50, true)
    );
    let Seen::Read(seen) = pair.agent.next_seen() else {
        panic!("not read");
    };
    assert!(seen.limit > 0 && seen.limit <= 50 << 20, "{}", seen.limit);
    assert_eq!((seen.offset, seen.selection), (7, query.selection));
    query.execution = execution("unknown");
    assert_eq!(pair.client.read_output(&query).unwrap(), None);
}
