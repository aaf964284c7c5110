"""An agent of PyPI's gRPC, for the client of Flux. It says its port, then what it sees of its calls; the word
`stop` has it take no more of them, and end once those that run have ended."""

import hashlib
import threading
from concurrent import futures

import flux_pb2 as flux
import flux_pb2_grpc
import grpc

from peer import CHUNK, LONG, argument, pattern, read, say, word

# Longer than the test has: that nobody came must not look like somebody who left.
PATIENCE = 600
MANY = 100


def record(execution, function):
    return flux.ExecutionRecord(
        execution_id=execution,
        agent_id="agent-1",
        function_name=function,
        function_version=3,
        status="success",
        reason="exited",
        exit_code=0,
        started_at_ms=1000,
        status_at_ms=1250,
        duration_ms=250,
    )


def answer(request, output):
    return flux.ExecutionResponse(output=output, record=record(request.execution_id, request.function_name))


def watch(context, what):
    """Says when the call ends; the event is set then."""
    over = threading.Event()

    def ended():
        say(over=what, by=str(context.code()))
        over.set()

    assert context.add_callback(ended), "over already"
    return over


class Agent(flux_pb2_grpc.AgentServiceServicer):
    def __init__(self):
        self.all_here = threading.Barrier(MANY)
        self.go_on = threading.Event()

    def HealthCheck(self, request, context):
        return flux.HealthCheckResponse(healthy=True, version="pypi")

    def ExecuteFunction(self, request, context):
        return getattr(self, request.function_name.replace("-", "_"))(request, context)

    def echo(self, request, context):
        return answer(request, b"ab")

    def stdin(self, request, context):
        return answer(request, request.stdin)

    def hold(self, request, context):
        say(seen="hold", remaining=context.time_remaining())
        over = watch(context, "hold")
        assert over.wait(PATIENCE), "nobody gave the call up"
        return answer(request, b"")

    def wait(self, request, context):
        say(seen="wait")
        assert self.go_on.wait(PATIENCE)
        return answer(request, b"waited")

    def together(self, request, context):
        """Answered once there are many of them at once."""
        self.all_here.wait(PATIENCE)
        return answer(request, request.args[0].encode())

    def refuse(self, request, context):
        detail = flux.ErrorDetail(kind=flux.ERROR_KIND_FUNCTION_NOT_FOUND, subject="größer")
        context.set_trailing_metadata([("grpc-status-details-bin", detail.SerializeToString())])
        context.abort(grpc.StatusCode.NOT_FOUND, "100 % größer\n🦀")

    def lose(self, request, context):
        context.abort(grpc.StatusCode.DATA_LOSS, "100 % größer\n🦀")

    def metadata(self, request, context):
        say(fields=sorted(key for key, _ in context.invocation_metadata()))
        context.send_initial_metadata([("x-first-bin", bytes(range(256)))])
        context.set_trailing_metadata([("x-last-bin", b"\x00")])
        return answer(request, b"ab")

    def compressed(self, request, context):
        context.set_compression(grpc.Compression.Gzip)
        return answer(request, bytes(100_000))

    def FollowExecution(self, request, context):
        execution = request.execution_id
        if execution == "silent":
            over = watch(context, "silent")
            yield flux.FollowEvent(output=chunk(0, b"hello"))
            assert over.wait(PATIENCE), "the follower stays"
            return
        if execution == "breaks":
            yield flux.FollowEvent(output=chunk(0, b"x"))
            self.refuse(request, context)
        size = LONG if execution == "long" else request.offset + 3
        piece = CHUNK if execution == "long" else 1
        for offset in range(request.offset, size, piece):
            data = pattern(offset, min(piece, size - offset))
            yield flux.FollowEvent(output=chunk(offset, data))
        yield flux.FollowEvent(ended=record(execution, "echo"))

    def PushRelease(self, chunks, context):
        header = next(chunks).header
        digest, size = hashlib.sha256(), 0
        for piece in chunks:
            digest.update(piece.data)
            size += len(piece.data)
        say(function=header.function_name, announced=header.size_bytes, size=size, digest=digest.hexdigest())
        return flux.DeploymentAck(success=True, message="deployed", remark="from Python")


def chunk(offset, data):
    return flux.OutputChunk(
        stream=flux.OUTPUT_STREAM_STDOUT, offset=offset, stream_offset=offset, data=data
    )


def listen(server, tls):
    if tls is None:
        return server.add_insecure_port("127.0.0.1:0")
    pair = (read(tls["key"]), read(tls["certificate"]))
    credentials = grpc.ssl_server_credentials([pair], read(tls["ca"]), require_client_auth=True)
    return server.add_secure_port("127.0.0.1:0", credentials)


def main():
    agent = Agent()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=MANY + 8))
    flux_pb2_grpc.add_AgentServiceServicer_to_server(agent, server)
    port = listen(server, argument()["tls"])
    server.start()
    say(port=port)
    while told := word():
        if told == "stop":
            server.stop(PATIENCE)
            say(stopping=True)
        elif told == "go on":
            agent.go_on.set()
    server.stop(None).wait()


main()
