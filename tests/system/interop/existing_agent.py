"""A worker of the implementation that Flux replaces, as far as the wire shows: its seven calls, its fields, and
nothing else. It says its port, then what it is asked to do. What it runs says which function and arguments it is."""

import json
import threading
from concurrent import futures

import flux_pb2 as flux
import flux_pb2_grpc
import grpc

from peer import say, word

PATIENCE = 600


class ExistingAgent(flux_pb2_grpc.AgentServiceServicer):
    """Every other call is UNIMPLEMENTED, as it is with an agent that does not know it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = {}
        self.ended = {}

    def RegisterFunction(self, request, context):
        say(registered=request.name, handler=request.handler)
        return flux.FunctionAck(success=True, message="registered")

    def DeployFunction(self, request, context):
        is_zip = request.code_archive[:2] == b"PK"
        say(deployed=request.function_name, handler=request.config.handler, is_zip=is_zip)
        return flux.DeploymentAck(success=True, message="deployed")

    def ExecuteFunction(self, request, context):
        assert request.execution_id, "every call has an id"
        arguments = " ".join(request.args)
        if getattr(request, "async"):
            threading.Thread(target=self.run, args=(request.execution_id, request.function_name, arguments)).start()
            return flux.ExecutionResponse(output=request.execution_id.encode())
        output = f"{request.function_name} ran with {arguments}\n"
        return flux.ExecutionResponse(output=output.encode(), duration_ms=3)

    def run(self, execution, function, arguments):
        cancelled = threading.Event()
        with self.lock:
            self.running[execution] = cancelled
        status = "cancelled" if cancelled.wait(PATIENCE if arguments == "hold" else 0.3) else "success"
        with self.lock:
            del self.running[execution]
            self.ended[execution] = {
                "execution_id": execution,
                "function_name": function,
                "status": status,
                "output": f"{function} ran with {arguments}\n",
                "duration_ms": 300,
                "started_at": "2026-03-01T12:00:00Z",
                "status_at": "2026-03-01T12:00:01Z",
            }

    def CancelExecution(self, request, context):
        with self.lock:
            cancelled = self.running.get(request.execution_id)
        if cancelled is None:
            return flux.CancelResponse(success=False, message="not found")
        cancelled.set()
        return flux.CancelResponse(success=True, message="cancelled")

    def GetExecution(self, request, context):
        with self.lock:
            ended, runs = self.ended.get(request.execution_id), request.execution_id in self.running
        if ended is None and not runs:
            return flux.GetExecutionResponse(found=False)
        record = ended or {"execution_id": request.execution_id, "function_name": "echo", "status": "running"}
        return flux.GetExecutionResponse(found=True, data=json.dumps(record).encode())

    def HealthCheck(self, request, context):
        return flux.HealthCheckResponse(healthy=True, version="existing")

    def ReportNodeStatus(self, request, context):
        return flux.NodeStatusResponse(
            agent_id="existing",
            cpu_percent=1,
            memory_percent=2,
            memory_total_mb=4096,
            memory_used_mb=100,
            active_tasks=len(self.running),
            max_tasks=8,
            uptime_seconds=60,
        )


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    flux_pb2_grpc.add_AgentServiceServicer_to_server(ExistingAgent(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say(port=port)
    while word():
        pass
    server.stop(None)


main()
