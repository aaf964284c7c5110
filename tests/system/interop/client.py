"""Calls of PyPI's gRPC on an agent of Flux; each scenario does one thing and says what came of it."""

import hashlib
import threading
import time

import flux_pb2 as flux
import flux_pb2_grpc
import grpc

from peer import CHUNK, LONG, argument, pattern, read, say, word

PATIENCE = 60
SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def request(function, **fields):
    return flux.ExecutionRequest(function_name=function, execution_id="e1", protocol=1, **fields)


def code(error):
    return error.code().name


def failure(call):
    """What a call says that has to fail."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call went well")


@scenario
def unary(channel, agent):
    answer = agent.ExecuteFunction(request("echo"), timeout=PATIENCE)
    say(output=answer.output.decode(), execution=answer.record.execution_id, status=answer.record.status)


@scenario
def health(channel, agent):
    answer = agent.HealthCheck(flux.HealthCheckRequest(), timeout=PATIENCE)
    say(healthy=answer.healthy, version=answer.version)


@scenario
def stream(channel, agent):
    output, status = [], None
    for event in agent.FollowExecution(flux.FollowRequest(execution_id="talks", offset=5), timeout=PATIENCE):
        if event.HasField("output"):
            output.append([event.output.offset, list(event.output.data)])
        else:
            status = event.ended.status
    say(output=output, status=status)


@scenario
def long_stream(channel, agent):
    offset, status = 0, None
    for event in agent.FollowExecution(flux.FollowRequest(execution_id="long"), timeout=PATIENCE):
        if event.HasField("output"):
            data = event.output.data
            assert event.output.offset == offset, (event.output.offset, offset)
            assert data == pattern(offset, len(data)), f"other bytes from {offset} on"
            offset += len(data)
        else:
            status = event.ended.status
    say(bytes=offset, status=status)


@scenario
def push(channel, agent):
    size = (20 << 20) + 777
    archive = b"".join(pattern(at, min(CHUNK, size - at)) for at in range(0, size, CHUNK))
    digest = hashlib.sha256(archive).hexdigest()

    def chunks():
        yield flux.ReleaseChunk(
            header=flux.ReleaseHeader(function_name="resize", version=4, digest=digest, size_bytes=size)
        )
        for at in range(0, size, CHUNK):
            yield flux.ReleaseChunk(data=archive[at : at + CHUNK])

    answer = agent.PushRelease(chunks(), timeout=PATIENCE)
    say(success=answer.success, remark=answer.remark, digest=digest)


@scenario
def refusals(channel, agent):
    """Each kind that there is, in the order of the agent's own list."""
    for index in range(len(flux.ErrorKind.keys()) - 1):
        error = failure(lambda: agent.ExecuteFunction(request(f"refuse-{index}"), timeout=PATIENCE))
        detail = flux.ErrorDetail()
        detail.ParseFromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        say(code=code(error), kind=detail.kind, subject=detail.subject, message=error.details())


@scenario
def foreign_words(channel, agent):
    error = failure(lambda: agent.ExecuteFunction(request("foreign-words"), timeout=PATIENCE))
    say(code=code(error), message=error.details())


@scenario
def unknown_method(channel, agent):
    call = channel.unary_unary("/flux.AgentService/DoesNotExist")
    say(code=code(failure(lambda: call(b"", timeout=PATIENCE))))


@scenario
def cancelled_stream(channel, agent):
    events = agent.FollowExecution(flux.FollowRequest(execution_id="silent"))
    say(data=next(events).output.data.decode())
    events.cancel()
    say(code=code(failure(lambda: next(events))))
    # On the same connection.
    unary(channel, agent)


@scenario
def cancelled_call(channel, agent):
    call = agent.ExecuteFunction.future(request("hold"))
    assert word() == "cancel"
    call.cancel()
    say(cancelled=call.cancelled())
    assert word() == "answered"
    unary(channel, agent)


@scenario
def call_with_a_timeout(channel, agent):
    # The time to connect is no part of it.
    unary(channel, agent)
    say(code=code(failure(lambda: agent.ExecuteFunction(request("hold"), timeout=1))))
    unary(channel, agent)


@scenario
def overdue(channel, agent):
    """A deadline that is announced to the server; the channel itself has no timer for it."""
    unary(channel, agent)
    events = agent.FollowExecution(
        flux.FollowRequest(execution_id="silent"), metadata=[("grpc-timeout", "1S")]
    )
    began = time.monotonic()
    next(events)
    say(code=code(failure(lambda: next(events))), seconds=time.monotonic() - began)


@scenario
def large_messages(channel, agent):
    message = pattern(0, CHUNK) * 48
    answer = agent.ExecuteFunction(request("stdin", stdin=message), timeout=PATIENCE)
    say(bytes=len(answer.output), is_same=answer.output == message)


@scenario
def many(channel, agent):
    count = 100
    calls = [
        agent.ExecuteFunction.future(request("hold", args=[str(number)]), timeout=PATIENCE)
        for number in range(count)
    ]
    say(outputs=[call.result().output.decode() for call in calls])


@scenario
def shutdown(channel, agent):
    """A call that runs while the server goes, and one that comes after."""
    has_left = threading.Event()
    was_ready = threading.Event()

    def note(state):
        if state is grpc.ChannelConnectivity.READY:
            was_ready.set()
        elif was_ready.is_set():
            has_left.set()

    channel.subscribe(note, try_to_connect=True)
    # Else it may come and go unnoticed.
    assert was_ready.wait(PATIENCE), "no connection"
    running = agent.ExecuteFunction.future(request("hold"), timeout=PATIENCE)
    assert has_left.wait(PATIENCE), "no GOAWAY"
    say(has_left=True)
    assert word() == "next"
    try:
        say(next=agent.ExecuteFunction(request("echo"), timeout=PATIENCE).output.decode())
    except grpc.RpcError as error:
        say(next=code(error))
    say(running=running.result().output.decode())


@scenario
def compressed(channel, agent):
    call = agent.ExecuteFunction.with_call
    error = failure(
        lambda: call(request("echo", stdin=bytes(100_000)), timeout=PATIENCE, compression=grpc.Compression.Gzip)
    )
    say(code=code(error), message=error.details())
    unary(channel, agent)


@scenario
def binary_metadata(channel, agent):
    metadata = [("x-trace-bin", bytes(range(256))), ("x-empty-bin", b""), ("x-text", "plain")]
    answer = agent.ExecuteFunction(request("echo"), timeout=PATIENCE, metadata=metadata)
    say(output=answer.output.decode())


@scenario
def refused(channel, agent):
    say(code=code(failure(lambda: agent.HealthCheck(flux.HealthCheckRequest(), timeout=PATIENCE))))


def open_channel(address, tls):
    # The environment may name a proxy.
    options = [("grpc.enable_http_proxy", 0)]
    if tls is None:
        return grpc.insecure_channel(address, options)
    key, certificate = (read(tls[part]) if part in tls else None for part in ("key", "certificate"))
    credentials = grpc.ssl_channel_credentials(read(tls["ca"]), key, certificate)
    options.append(("grpc.ssl_target_name_override", tls["name"]))
    return grpc.secure_channel(address, credentials, options)


def main():
    given = argument()
    with open_channel(given["address"], given["tls"]) as channel:
        SCENARIOS[given["scenario"]](channel, flux_pb2_grpc.AgentServiceStub(channel))


main()
