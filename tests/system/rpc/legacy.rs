//! Peers of the implementation that Flux replaces: an agent that knows only the seven calls, and
//! a control plane that reads texts.

use std::io::Cursor;

use crossbeam_channel::{Receiver, Sender, unbounded};
use flux::base::cancel::Cancel;
use flux::base::threads::Supervisor;
use flux::model::execution::{Ending, Executed, Status};
use flux::model::function::Code;
use flux::model::ids::Digest;
use flux::rpc::limits::CALL_DEADLINE;
use flux::rpc::limits::Keepalive;
use flux::rpc::release::OutgoingRelease;
use flux::rpc::serve::{Incoming, unary};
use flux::rpc::server::{AgentServer, Service};
use flux::rpc::{AgentClient, Channels, RpcError};
use flux::wire::cancel::CancelOutcome;
use flux::wire::ending::UNKNOWN_EXIT_CODE;
use flux::wire::error::ErrorKind;
use flux::wire::execute::ExecuteRequest;
use flux::wire::method::Method;
use flux::wire::output::{OutputQuery, Selection};
use flux::wire::proto::{self, AgentServiceCall as Call};

use super::double::BIG;
use super::fixture::{Agent, execution, function, id, now, request};
use crate::runner::tests;

tests![
    a_legacy_agents_answers_become_records,
    a_legacy_agents_texts_become_refusals,
    what_a_legacy_agent_lacks_is_said_or_made_up_for,
    a_release_goes_to_a_legacy_agent_in_one_message,
    an_agent_that_shows_to_be_a_legacy_one_gets_a_gentler_connection,
    a_legacy_control_plane_gets_texts_in_place_of_statuses,
    a_legacy_control_plane_deploys_in_one_message,
];

fn old_execute(request: &proto::ExecutionRequest) -> proto::ExecutionResponse {
    let error = match request.function_name.as_str() {
        "full" => "function full is at capacity (5/5)",
        "absent" => "function not found: absent",
        "fails" => "exit status 1",
        _ => "",
    };
    let is_run = matches!(request.function_name.as_str(), "echo" | "fails");
    proto::ExecutionResponse {
        output: if is_run { b"out".to_vec() } else { Vec::new() },
        error: error.to_owned(),
        duration_ms: 12,
        ..Default::default()
    }
}

/// Exactly the seven calls, with answers without any of the newer fields.
struct SevenCalls {
    deployed: Sender<proto::DeploymentPackage>,
}

impl Service for SevenCalls {
    fn is_streaming_in(path: &str) -> Option<bool> {
        let is_old = match Call::of(path)? {
            Call::RegisterFunction
            | Call::DeployFunction
            | Call::ExecuteFunction
            | Call::CancelExecution
            | Call::GetExecution
            | Call::HealthCheck
            | Call::ReportNodeStatus => true,
            Call::PushRelease
            | Call::RemoveFunction
            | Call::ListFunctions
            | Call::FollowExecution
            | Call::ReadOutput
            | Call::ListExecutions
            | Call::WatchExecutions
            | Call::Drain
            | Call::ReadEnds
            | Call::SettleExecution => false,
        };
        is_old.then_some(false)
    }

    fn serve(&self, incoming: Incoming) {
        match incoming.path.rsplit('/').next().expect("a name") {
            "RegisterFunction" => {
                answer(proto::REGISTER_FUNCTION, incoming, |_| proto::FunctionAck {
                    success: true,
                    message: "registered".to_owned(),
                    ..Default::default()
                });
            }
            "DeployFunction" => answer(proto::DEPLOY_FUNCTION, incoming, |package| {
                let _ = self.deployed.send(package);
                proto::DeploymentAck {
                    success: true,
                    message: "deployed".to_owned(),
                    ..Default::default()
                }
            }),
            "ExecuteFunction" => answer(proto::EXECUTE_FUNCTION, incoming, |q| old_execute(&q)),
            "CancelExecution" => answer(proto::CANCEL_EXECUTION, incoming, |q| {
                proto::CancelResponse {
                    success: q.execution_id == "running",
                    message: "not running".into(),
                    outcome: 0,
                }
            }),
            "GetExecution" => answer(proto::GET_EXECUTION, incoming, |q| {
                let data =
                    br#"{"execution_id":"e1","function_name":"f","status":"success","output":"o",
            "duration_ms":3,"started_at":"2026-03-01T12:00:00.123456789Z",
            "status_at":"2026-03-01T12:00:01Z"}"#;
                proto::GetExecutionResponse {
                    found: q.execution_id == "e1",
                    data: data.to_vec(),
                }
            }),
            "HealthCheck" => answer(proto::HEALTH_CHECK, incoming, |_| {
                proto::HealthCheckResponse {
                    healthy: true,
                    version: "0.9".into(),
                }
            }),
            "ReportNodeStatus" => answer(proto::REPORT_NODE_STATUS, incoming, |_| {
                proto::NodeStatusResponse {
                    agent_id: "old".into(),
                    memory_total_mb: 100,
                    ..Default::default()
                }
            }),
            other => panic!("{other} is none of the seven calls"),
        }
    }
}

fn answer<Q: prost::Message + Default, A: prost::Message>(
    method: Method<Q, A>,
    incoming: Incoming,
    answer: impl FnOnce(Q) -> A,
) {
    if let Some((request, reply)) = unary(method, incoming) {
        reply.send(Ok(answer(request)));
    }
}

struct Old {
    client: AgentClient,
    channels: Channels,
    server: AgentServer,
    deployed: Receiver<proto::DeploymentPackage>,
}

fn old() -> Old {
    let (sender, deployed) = unbounded();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = AgentServer::start(
        loopback,
        None,
        SevenCalls { deployed: sender },
        Keepalive::default(),
        &Supervisor::new(),
    )
    .unwrap();
    let channels = Channels::new(None, &Supervisor::new());
    let address = server.address().to_string();
    let client = channels.client(&id("old"), &address, false).unwrap();
    Old {
        client,
        channels,
        server,
        deployed,
    }
}

fn execute(old: &Old, request: ExecuteRequest) -> Result<Executed, RpcError> {
    let pending = old.client.start_execute(request, None, now())?;
    pending.wait(&Cancel::never()).unwrap()
}

fn a_legacy_agents_answers_become_records() {
    let old = old();
    let ran = execute(&old, request("echo")).unwrap();
    assert_eq!(
        (ran.record.ending, ran.output.bytes.as_slice()),
        (Some(Ending::Exited(0)), &b"out"[..])
    );
    assert_eq!(ran.record.agent, id("old"));
    let failed = execute(&old, request("fails")).unwrap();
    assert_eq!(
        failed.record.ending,
        Some(Ending::Exited(UNKNOWN_EXIT_CODE))
    );
    assert_eq!(failed.record.error, "exit status 1");
    let accepted = ExecuteRequest {
        asynchronous: true,
        ..request("accept")
    };
    assert_eq!(
        execute(&old, accepted).unwrap().record.status(),
        Status::Running
    );
}

fn a_legacy_agents_texts_become_refusals() {
    let old = old();
    for (name, kind) in [
        ("full", ErrorKind::FunctionAtCapacity),
        ("absent", ErrorKind::FunctionNotFound),
    ] {
        let error = execute(&old, request(name)).expect_err("refused");
        assert_eq!(error.refusal().map(|refusal| refusal.kind), Some(kind));
        assert!(error.nothing_started());
    }
}

fn what_a_legacy_agent_lacks_is_said_or_made_up_for() {
    let old = old();
    let Old { client, .. } = &old;
    assert_eq!(client.list_functions().unwrap(), None);
    let unimplemented = [
        client.drain(true).err(),
        client.list_executions(&Default::default()).err(),
        client.remove_function(&function("f")).err(),
        client
            .read_output(&OutputQuery {
                execution: execution("e"),
                selection: Selection::Merged,
                offset: 0,
                limit: 0,
            })
            .err(),
        client
            .follow(&execution("e"), 0)
            .and_then(|mut follower| follower.next(&Cancel::never(), None))
            .err(),
    ];
    for error in unimplemented {
        assert!(matches!(error, Some(RpcError::Unimplemented)), "{error:?}");
    }
    let Executed { record, output } = client.get_execution(&execution("e1")).unwrap().unwrap();
    assert_eq!(
        (record.status(), output.bytes.as_slice()),
        (Status::Success, b"o".as_slice())
    );
    assert_eq!(client.get_execution(&execution("e2")).unwrap(), None);
    assert_eq!(
        client.cancel(&execution("running")).unwrap(),
        CancelOutcome::Cancelled
    );
    let error = client.cancel(&execution("ended")).expect_err("in words");
    assert!(matches!(error, RpcError::Rejected { .. }), "{error:?}");
}

fn a_release_goes_to_a_legacy_agent_in_one_message() {
    let old = old();
    let archive: Vec<u8> = (0..BIG).map(|i| (i % 251) as u8).collect();
    let code = Code {
        version: 2,
        digest: Digest::from_sha256([1; 32]),
    };
    let name = function("resize");
    let release = |size: usize| OutgoingRelease {
        function: &name,
        code: &code,
        size_bytes: size as u64,
        config: None,
    };
    let sent = old
        .client
        .push_release(&release(archive.len()), || Ok(Cursor::new(&archive)));
    assert_eq!(sent.unwrap(), "", "a success is no remark");
    let package = old.deployed.try_recv().unwrap();
    assert_eq!(package.function_name, "resize");
    assert!(package.code_archive == archive);

    let huge = vec![0; (50 << 20) + 1];
    let error = old
        .client
        .push_release(&release(huge.len()), || Ok(Cursor::new(&huge)));
    assert!(matches!(error, Err(RpcError::TooLarge { .. })), "{error:?}");
    assert!(old.deployed.is_empty());
}

fn an_agent_that_shows_to_be_a_legacy_one_gets_a_gentler_connection() {
    let old = old();
    assert!(!old.client.is_legacy());
    assert!(old.client.node_status(now(), None).unwrap().is_legacy());
    let address = old.server.address().to_string();
    let gentle = old.channels.client(&id("old"), &address, false).unwrap();
    assert!(gentle.is_legacy(), "known from its first moment");
    assert!(gentle.health().is_ok());
}

/// A control plane that sends no `protocol`.
struct OldControl {
    client: AgentClient,
    _channels: Channels,
}

impl OldControl {
    fn of(agent: &Agent) -> OldControl {
        let channels = Channels::new(None, &Supervisor::new());
        let client = channels.client(&id("a"), &agent.address, false).unwrap();
        OldControl {
            client,
            _channels: channels,
        }
    }

    fn call<Q: prost::Message, A: prost::Message + Default>(
        &self,
        method: Method<Q, A>,
        request: &Q,
    ) -> A {
        self.client.call(method, request, CALL_DEADLINE).unwrap()
    }
}

fn old_request(function: &str) -> proto::ExecutionRequest {
    proto::ExecutionRequest {
        function_name: function.to_owned(),
        execution_id: "e1".to_owned(),
        ..Default::default()
    }
}

fn a_legacy_control_plane_gets_texts_in_place_of_statuses() {
    let agent = Agent::start(&id("a"), None);
    let control = OldControl::of(&agent);
    let answer = |name: &str| control.call(proto::EXECUTE_FUNCTION, &old_request(name));
    let echo = answer("echo");
    assert_eq!(
        (echo.output.as_slice(), echo.error.as_str()),
        (&b"ab"[..], "")
    );
    assert_eq!(answer("fails").error, "exit code 3");
    let refused = |wanted: ErrorKind| {
        let index = ErrorKind::ALL
            .iter()
            .position(|&kind| kind == wanted)
            .unwrap();
        answer(&format!("refuse-{index}")).error
    };
    assert!(refused(ErrorKind::FunctionAtCapacity).contains("at capacity"));
    assert!(refused(ErrorKind::AgentAtCapacity).contains("at capacity"));
    assert!(refused(ErrorKind::FunctionNotFound).starts_with("function not found: refuse-"));
    assert!(
        !answer("../x").error.is_empty(),
        "an invalid request has a text too"
    );
    let anonymous = proto::ExecutionRequest {
        execution_id: String::new(),
        ..old_request("echo")
    };
    assert_eq!(control.call(proto::EXECUTE_FUNCTION, &anonymous).error, "");
}

fn a_legacy_control_plane_deploys_in_one_message() {
    let agent = Agent::start(&id("a"), None);
    let package = proto::DeploymentPackage {
        function_name: "resize".into(),
        code_archive: b"zip".to_vec(),
        config: None,
    };
    assert!(
        OldControl::of(&agent)
            .call(proto::DEPLOY_FUNCTION, &package)
            .success
    );
    let super::double::Seen::Installed(header, bytes) = agent.next_seen() else {
        panic!("not installed");
    };
    assert_eq!((header.code.version, bytes.as_slice()), (0, &b"zip"[..]));
    assert_eq!(
        header.code.digest,
        Digest::from_sha256(openssl::sha::sha256(b"zip"))
    );
}
