"""Servers in every arrangement that ``MILLRACE_REDIS_URL`` can name: a Cluster, a Sentinel's pair, one behind TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from streams.embedded.binaries import redis_program
from tests.support.servers import temporary_home

HOST: Final = "127.0.0.1"
START_S: Final = 15.0
SLOTS: Final = 16_384
MASTER: Final = "mymaster"


class Node:
    """A server process on a loopback port, nothing of it on disk but its configuration."""

    def __init__(
        self, home: Path, program: str | None, *options: str, mode: str = "", tls: Certificates | None = None
    ) -> None:
        self.port = _free_port()
        self._home = home / str(self.port)
        self._home.mkdir()
        config = self._home / "server.conf"
        listens = f"tls-port {self.port}\nport 0" if tls else f"port {self.port}"
        given = options if mode else ("save ''", "repl-diskless-sync-delay 0", *options)
        config.write_text("\n".join([listens, f"bind {HOST}", f"dir {self._home}", *given, ""]))
        self._tls = tls
        self._command = [str(redis_program(program).path), str(config), *([mode] if mode else [])]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        wait_until(self.answers, lambda: f"{self._command} to answer:\n{(self._home / 'log').read_text()}")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{HOST}:{self.port}"

    def answers(self) -> bool:
        """Whether it does."""
        assert self._process.poll() is None, (self._home / "log").read_text()
        with suppress(RedisError, OSError):
            return bool(self.ask("PING"))
        return False

    def ask(self, *command: Any) -> Any:
        """Its answer to a command."""
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self._tls.ca)} if self._tls else {}
        with Redis(HOST, self.port, decode_responses=True, retry=Retry(NoBackoff(), 0), socket_timeout=5, **tls) as one:
            return one.execute_command(*command)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Cluster:
    """Masters that share the slots, each with a replica when asked for."""

    masters: list[Node]
    replicas: list[Node]

    @property
    def url(self) -> str:
        """Named by two of its nodes; the rest is found."""
        return f"redis+cluster://{self.masters[0].address},{self.masters[1].address}"

    def hand_over(self) -> None:
        """The first master and its replica change places, as before maintenance."""
        self.replicas[0].ask("CLUSTER", "FAILOVER")

    def lose_master(self) -> None:
        """Kill the first master; nobody helps: the others find out, and elect its replica."""
        self.masters[0].kill()

    def move_slot_of(self, key: str) -> None:
        """Move a key's slot, with all that is in it, to another master, as redis-cli --cluster reshard does."""
        slot = self.masters[0].ask("CLUSTER", "KEYSLOT", key)
        ids = [str(node.ask("CLUSTER", "MYID")) for node in self.masters]
        at = next(n for n, node in enumerate(self.masters) if _owns(node, slot))
        source, source_id = self.masters[at], ids[at]
        target, target_id = self.masters[at - 1], ids[at - 1]
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", HOST, target.port, "", 0, 5_000, "KEYS", *keys)
        for node in (target, source, *self.masters):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def crash(self) -> None:
        """Kill the first master; its replica takes its slots."""
        self.masters[0].kill()
        self.replicas[0].ask("CLUSTER", "FAILOVER", "TAKEOVER")


@contextmanager
def cluster(program: str | None = None, *, masters: int = 3, replicas: bool = False) -> Iterator[Cluster]:
    """A Cluster whose every node knows of every slot.

    Args:
        program: ``wheel``, a path, or None for the one that Millrace would choose.
        replicas: One for each master.
    """
    with temporary_home() as home, ExitStack() as stack:
        options = ("cluster-enabled yes", "cluster-node-timeout 2000", "cluster-require-full-coverage no")
        nodes = [Node(home, program, *options) for _ in range(masters * (2 if replicas else 1))]
        for node in nodes:
            stack.enter_context(node)
        first, kept = nodes[:masters], nodes[masters:]
        bounds = [-(-SLOTS * at // masters) for at in range(masters + 1)]
        for at, node in enumerate(nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
            if at < masters:
                node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[at], bounds[at + 1] - 1)
            for other in nodes[:at]:
                node.ask("CLUSTER", "MEET", HOST, other.port)
        wait_until(lambda: all(_knows(node, len(nodes)) for node in nodes), lambda: "the nodes to know each other")
        for master, replica in zip(first, kept, strict=replicas):
            replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID"))
        for replica in kept:
            wait_until(lambda: _follows(replica), lambda: "a replica to follow")  # noqa: B023 - called at once
        yield Cluster(first, kept)


@dataclass(frozen=True)
class Watched:
    """A master and its replica, and the Sentinel that watches them."""

    master: Node
    replica: Node
    sentinel: Node

    @property
    def url(self) -> str:
        """Named by the Sentinel; an address where none listens comes first."""
        return f"redis+sentinel://{HOST}:1,{self.sentinel.address}/{MASTER}"

    def hand_over(self) -> None:
        """Master and replica change places, as before maintenance."""
        self.sentinel.ask("SENTINEL", "FAILOVER", MASTER)

    def crash(self) -> None:
        """Kill the master; the Sentinel sees it and appoints the replica."""
        self.master.kill()

    lose_master = crash


@contextmanager
def watched(program: str | None = None) -> Iterator[Watched]:
    """A master with a replica under one Sentinel, quorum 1."""
    with temporary_home() as home, ExitStack() as stack:
        master = stack.enter_context(Node(home, program))
        replica = stack.enter_context(Node(home, program, f"replicaof {HOST} {master.port}"))
        wait_until(lambda: _follows(replica), lambda: "the replica to follow")
        options = (
            f"sentinel monitor {MASTER} {HOST} {master.port} 1", f"sentinel down-after-milliseconds {MASTER} 300",
            f"sentinel failover-timeout {MASTER} 3000",
        )  # fmt: skip
        sentinel = stack.enter_context(Node(home, program, *options, mode="--sentinel"))
        wait_until(
            lambda: len(sentinel.ask("SENTINEL", "REPLICAS", MASTER)) == 1, lambda: "the Sentinel to see the replica"
        )
        yield Watched(master, replica, sentinel)


@dataclass(frozen=True)
class Certificates:
    """Files of an authority of one's own, and of a server that it vouches for."""

    ca: Path
    certificate: Path
    key: Path


@contextmanager
def behind_tls(program: str | None = None) -> Iterator[str]:
    """A server that speaks nothing but TLS; its URL names the authority to trust."""
    with temporary_home() as home:
        files = _certificates(home)
        options = (
            f"tls-cert-file {files.certificate}", f"tls-key-file {files.key}", f"tls-ca-cert-file {files.ca}",
            "tls-auth-clients no",
        )  # fmt: skip
        with Node(home, program, *options, tls=files) as node:
            yield f"rediss://{node.address}/0?ssl_ca_certs={files.ca}"


def speaks_tls(program: str | None = None) -> bool:
    """Whether the server was built with TLS."""
    asked = [str(redis_program(program).path), "--port", "0", "--tls-port", "1", "--logfile", ""]  # no certificate
    told = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
    return "Failed to configure TLS" in told.stdout


def wait_until(is_so: Callable[[], bool], what: Callable[[], str], within_s: float = START_S) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s} s for {what()}")
        time.sleep(0.02)


def _knows(node: Node, nodes: int) -> bool:
    info = node.ask("CLUSTER", "INFO")
    told = info if isinstance(info, dict) else dict(line.split(":") for line in info.split("\r\n") if line)
    return (
        told["cluster_state"] == "ok"
        and int(told["cluster_known_nodes"]) == nodes
        and int(told["cluster_slots_assigned"]) == SLOTS
        and "handshake" not in str(node.ask("CLUSTER", "NODES"))
    )


def _owns(node: Node, slot: int) -> bool:
    """Whether it has a slot, by its own line of CLUSTER NODES."""
    mine = next(line.split() for line in str(node.ask("CLUSTER", "NODES")).splitlines() if "myself" in line)
    bounds = [part.split("-") for part in mine[8:] if not part.startswith("[")]
    return any(int(ends[0]) <= slot <= int(ends[-1]) for ends in bounds)


def _follows(replica: Node) -> bool:
    told = replica.ask("INFO", "replication")
    return bool(told["role"] == "slave" and told["master_link_status"] == "up")


def _free_port() -> int:
    """A port that is free, and whose Cluster bus port (10,000 above) is one too."""
    while True:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
            if port > 65_535 - 10_000:
                continue
            with suppress(OSError):
                bus.bind((HOST, port + 10_000))
                return port


def _certificates(home: Path) -> Certificates:
    authority, authority_key = _signed("Millrace test authority")
    server, server_key = _signed("localhost", by=(authority, authority_key))
    files = Certificates(home / "ca.pem", home / "server.pem", home / "server.key")
    files.ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _signed(name: str, *, by: Signed | None = None) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if by:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    else:
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(signer, hashes.SHA256()), key
