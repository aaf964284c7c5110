"""A control plane of the implementation that Flux replaces, as far as the wire shows: its seven calls, its fields,
and nothing else. It brings a function to the agent that it is told of, runs it in each way, and says what came."""

import base64
import json
import time

import flux_pb2 as flux
import flux_pb2_grpc
import grpc

from peer import argument, say

PATIENCE = 60


def execute(execution, *args, **fields):
    return flux.ExecutionRequest(function_name="greet", execution_id=execution, args=args, **fields)


def record(agent, execution):
    answer = agent.GetExecution(flux.GetExecutionRequest(execution_id=execution), timeout=PATIENCE)
    return json.loads(answer.data) if answer.found else None


def await_status(agent, execution, status):
    deadline = time.monotonic() + PATIENCE
    while True:
        known = record(agent, execution)
        if known is not None and known["status"] == status:
            return known
        assert time.monotonic() < deadline, known
        time.sleep(0.05)


def main():
    asked = argument()
    with grpc.insecure_channel(asked["address"]) as channel:
        agent = flux_pb2_grpc.AgentServiceStub(channel)
        status = agent.ReportNodeStatus(flux.NodeStatusRequest(), timeout=PATIENCE)
        say(agent=status.agent_id, is_healthy=agent.HealthCheck(flux.HealthCheckRequest(), timeout=PATIENCE).healthy)

        config = flux.FunctionConfig(name="greet", handler="run", memory_mb=64, timeout_seconds=60)
        registered = agent.RegisterFunction(config, timeout=PATIENCE)
        archive = base64.b64decode(asked["archive"])
        package = flux.DeploymentPackage(function_name="greet", code_archive=archive, config=config)
        deployed = agent.DeployFunction(package, timeout=PATIENCE)
        say(registered=registered.success, deployed=deployed.success)

        answer = agent.ExecuteFunction(execute("e-sync", "you"), timeout=PATIENCE)
        say(output=answer.output.decode(), error=answer.error)

        accepted = agent.ExecuteFunction(execute("e-async", "all", **{"async": True}), timeout=PATIENCE)
        assert not accepted.error, accepted.error
        ended = await_status(agent, "e-async", "success")
        say(output=ended["output"])

        agent.ExecuteFunction(execute("e-held", "hold", **{"async": True}), timeout=PATIENCE)
        await_status(agent, "e-held", "running")
        cancelled = agent.CancelExecution(flux.CancelRequest(execution_id="e-held"), timeout=PATIENCE)
        say(cancelled=cancelled.success, status=record(agent, "e-held")["status"])

        dropped = agent.ExecuteFunction.future(execute("e-dropped", "hold"), timeout=PATIENCE)
        await_status(agent, "e-dropped", "running")
        dropped.cancel()
        await_status(agent, "e-dropped", "cancelled")
        say(dropped="cancelled")


main()
