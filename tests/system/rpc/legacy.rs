//! Peers of the implementation that Flux replaces: an agent that knows only the seven calls, and
//! a control plane that reads texts.

use std::io::Cursor;
use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};
use flux::base::cancel::Cancel;
use flux::model::execution::{Ending, Executed, Status};
use flux::model::function::Code;
use flux::model::ids::Digest;
use flux::rpc::limits::Keepalive;
use flux::rpc::release::OutgoingRelease;
use flux::rpc::server::AgentServer;
use flux::rpc::{AgentClient, Channels, RpcError};
use flux::wire::cancel::CancelOutcome;
use flux::wire::ending::UNKNOWN_EXIT_CODE;
use flux::wire::error::ErrorKind;
use flux::wire::execute::ExecuteRequest;
use flux::wire::output::{OutputQuery, Selection};
use flux::wire::proto::{self, AgentServiceClient};
use grpcio::{
    ChannelBuilder, Environment, Marshaller, Method, MethodType, RpcContext, Service,
    ServiceBuilder, UnarySink,
};

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

fn method<Q: prost::Message + Default, A: prost::Message + Default>(
    name: &'static str,
) -> Method<Q, A> {
    Method {
        ty: MethodType::Unary,
        name,
        req_mar: Marshaller {
            ser: grpcio::pr_ser,
            de: grpcio::pr_de,
        },
        resp_mar: Marshaller {
            ser: grpcio::pr_ser,
            de: grpcio::pr_de,
        },
    }
}

fn add<Q, A>(
    builder: ServiceBuilder,
    name: &'static str,
    answer: impl Fn(Q) -> A + Send + Clone + 'static,
) -> ServiceBuilder
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    builder.add_unary_handler(
        &method(name),
        move |context: RpcContext<'_>, q, sink: UnarySink<A>| {
            let sent = sink.success(answer(q));
            context.spawn(async move {
                let _ = sent.await;
            });
        },
    )
}

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
fn seven_calls(deployed: crossbeam_channel::Sender<proto::DeploymentPackage>) -> Service {
    let mut builder = ServiceBuilder::new();
    builder = add(
        builder,
        "/flux.AgentService/RegisterFunction",
        |_: proto::FunctionConfig| proto::FunctionAck {
            success: true,
            message: "registered".to_owned(),
            ..Default::default()
        },
    );
    builder = add(
        builder,
        "/flux.AgentService/DeployFunction",
        move |package| {
            let _ = deployed.send(package);
            proto::DeploymentAck {
                success: true,
                message: "deployed".to_owned(),
                ..Default::default()
            }
        },
    );
    builder = add(builder, "/flux.AgentService/ExecuteFunction", |request| {
        old_execute(&request)
    });
    builder = add(
        builder,
        "/flux.AgentService/CancelExecution",
        |q: proto::CancelRequest| proto::CancelResponse {
            success: q.execution_id == "running",
            message: "not running".into(),
            outcome: 0,
        },
    );
    builder = add(
        builder,
        "/flux.AgentService/GetExecution",
        |q: proto::GetExecutionRequest| {
            let data =
                br#"{"execution_id":"e1","function_name":"f","status":"success","output":"o",
            "duration_ms":3,"started_at":"2026-03-01T12:00:00.123456789Z",
            "status_at":"2026-03-01T12:00:01Z"}"#;
            proto::GetExecutionResponse {
                found: q.execution_id == "e1",
                data: data.to_vec(),
            }
        },
    );
    builder = add(
        builder,
        "/flux.AgentService/HealthCheck",
        |_: proto::HealthCheckRequest| proto::HealthCheckResponse {
            healthy: true,
            version: "0.9".into(),
        },
    );
    builder = add(
        builder,
        "/flux.AgentService/ReportNodeStatus",
        |_: proto::NodeStatusRequest| proto::NodeStatusResponse {
            agent_id: "old".into(),
            memory_total_mb: 100,
            ..Default::default()
        },
    );
    builder.build()
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
    let server =
        AgentServer::start(loopback, None, seven_calls(sender), Keepalive::default()).unwrap();
    let channels = Channels::new(None);
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
fn old_control(agent: &Agent) -> AgentServiceClient {
    let environment = Arc::new(Environment::new(1));
    AgentServiceClient::new(ChannelBuilder::new(environment).connect(&agent.address))
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
    let control = old_control(&agent);
    let answer = |name: &str| control.execute_function(&old_request(name)).unwrap();
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
    assert_eq!(control.execute_function(&anonymous).unwrap().error, "");
}

fn a_legacy_control_plane_deploys_in_one_message() {
    let agent = Agent::start(&id("a"), None);
    let package = proto::DeploymentPackage {
        function_name: "resize".into(),
        code_archive: b"zip".to_vec(),
        config: None,
    };
    assert!(
        old_control(&agent)
            .deploy_function(&package)
            .unwrap()
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
