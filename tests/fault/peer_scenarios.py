# SPDX-License-Identifier: Apache-2.0
"""Services with a client that pulls, and sessions of the image proxy."""
import os
import socket
import sys
import threading
import types

import outcome
from scenarios import LIMIT, STORE, Process, Scenario, end_service, start_service

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
import proxy_client  # noqa: E402


class Service(Scenario):
    """A service, and a client that pulls from it into the repository of the run; which of both is disturbed."""

    def __init__(self, name, disturbed, scheme, served):
        repository = "--repo" in served
        super().__init__(name, "pull --quiet --repo @W/repo %s %s:@W/socket#%s tiny" % (
            "--from-repo @B/whole" if repository else "", scheme, "tiny" if repository else "localhost/tiny"))
        self.disturbed, self.served = disturbed, "serve --protocol=%s --socket @W/socket %s" % (scheme, served)

    def run(self, w, inject=None):
        argv = Scenario("", self.served).argv(w)
        service = start_service(w, argv, inject if self.disturbed == "service" else None)
        if service.early:
            return [service]
        pull = Process(w, "pull", self.argv(w), inject if self.disturbed == "client" else None).wait()
        extra = []
        if self.disturbed == "service" and inject and pull.code == 1 and inject[0].startswith("once"):
            # The service has gone on, and serves the next one.
            if service.child.poll() is None:
                self.reset(w)
                extra = [Process(w, "pull-next", self.argv(w)).wait()]
        end_service(service)
        return [pull, service.wait()] + extra


class ImageProxy(Scenario):
    """A session of the image proxy; its client is ours."""

    def __init__(self, name):
        super().__init__(name, "experimental-image-proxy --insecure-policy", writes=False)

    def session(self, proxy, reference, transcript):
        image = proxy.value("OpenImage", reference)
        for method in ("GetManifest", "GetFullConfig"):
            transcript.append(proxy.piped(method, image)[0])
        layers = proxy.layers(image)
        transcript.append(repr(layers).encode())
        for layer in layers:
            transcript.append(proxy.blob(image, layer["digest"], layer["size"]))
        reply, fds = proxy.call("GetLayerSplitfd", image, layers[0]["digest"])
        if not reply["success"]:
            raise proxy_client.ProxyError(reply["error"])
        channel = socket.socket(fileno=fds[1])
        counted = []
        reader = threading.Thread(target=lambda: counted.append(drain_channel(channel)))
        reader.start()
        transcript.append(proxy_client.drain(fds[0]))
        finished, _ = proxy.call("FinishPipe", reply["pipeid"])
        reader.join()
        transcript += counted
        if not finished["success"]:
            raise proxy_client.ProxyError(finished["error"])
        proxy.value("CloseImage", image)

    def run(self, w, inject=None):
        reference = "containers-storage:[overlay@%s/store/root+%s/store/run]localhost/tiny" % (w.bed, w.bed)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = Process(w, "proxy", self.argv(w), inject, stdin=theirs.fileno())
        theirs.close()
        proxy = proxy_client.Proxy.__new__(proxy_client.Proxy)
        proxy.sock, transcript, code, error = ours, [], 0, ""
        ours.settimeout(LIMIT)
        try:
            proxy.value("Initialize")
            self.session(proxy, reference, transcript)
        except proxy_client.ProxyError as e:
            code, error = 1, str(e)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            code, error = 1, "the proxy has closed"
        except socket.timeout:
            code, error = outcome.HANG, "no answer"
        ours.close()
        process.wait()
        if code == 1 and error == "the proxy has closed" and process.code == 1:
            error = process.stderr.strip().split(": ", 1)[-1]
        head = types.SimpleNamespace(name="session", code=code, injected=False, early=False, argv=["session"],
                                     stdout=b"".join(transcript), report="",
                                     stderr="splitfd: %s\n" % error.replace("\n", " ") if code else "")
        return [head, process]


def drain_channel(channel):
    count = 0
    while True:
        data, fds, _, _ = socket.recv_fds(channel, 64, 253)
        for fd in fds:
            os.close(fd)
        count += len(fds)
        if not data:
            return str(count).encode()


def all_scenarios():
    return [
        Service("varlink-client", "client", "varlink", STORE),
        Service("varlink-store", "service", "varlink", STORE),
        Service("varlink-repo", "service", "varlink", "--repo @B/whole"),
        Service("jsonrpc-client", "client", "jsonrpc", STORE),
        Service("jsonrpc-store", "service", "jsonrpc", STORE),
        ImageProxy("proxy"),
    ]
