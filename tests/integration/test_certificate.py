"""The certificate of a site, over a real handshake on loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consumers.net.certificate import certificate_of
from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.fetch import Fetcher, FetcherConfig

ENDS = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody but itself vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "millrace test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(ENDS)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "site.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
async def place(pem: Path) -> AsyncIterator[str]:
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(pem)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=shown).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_certificate_that_nobody_vouches_for(place: str) -> None:
    async with Fetcher(FetcherConfig(allow_hosts=(place,))) as fetch:
        found = await certificate_of(fetch, f"https://{place}/")
    assert "self-signed" in found.error
    assert found.expires_on is None


async def test_an_accepted_certificate_says_when_it_ends(place: str, pem: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(pem))
    async with Fetcher(FetcherConfig(allow_hosts=(place,))) as fetch:
        found = await certificate_of(fetch, f"https://{place}/", trusting)
    assert found.error == ""
    assert found.expires_on == ENDS.date()


async def test_the_guard_holds_here_too_and_silence_is_told(place: str) -> None:
    async with Fetcher() as fetch:
        with pytest.raises(FetchRefusedError):
            await certificate_of(fetch, f"https://{place}/")
    async with Fetcher(FetcherConfig(allow_hosts=("127.0.0.1:9",))) as fetch:
        with pytest.raises(FetchFailedError, match="no TLS connection"):
            await certificate_of(fetch, "https://127.0.0.1:9/")
