"""The file of a backup: members in a tar, compressed with zstd, encrypted with age.

`age -d -i key FILE | zstd -d | tar -x` unpacks it without Modelkeep.
"""

from __future__ import annotations

import os
import sys
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import pyrage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Member = tuple[str, bytes]
BLOCK: Final = tarfile.BLOCKSIZE
MEMBER_LIMIT: Final = 256 * 1024 * 1024  # bytes; one of ours has a few MiB
PRIVATE: Final = "AGE-SECRET-KEY-"


class BackupError(Exception):
    """A backup can't be written or read; the message is for the operator."""


def new_identity() -> tuple[str, str]:
    """Return a new private key, which decrypts, and its public key, which encrypts."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def recipient_of(key: str) -> Any:
    """Return whom a file is encrypted for, from a public or private key. Raises BackupError."""
    try:
        if key.strip().upper().startswith(PRIVATE):
            return pyrage.x25519.Identity.from_str(key.strip()).to_public()
        return pyrage.x25519.Recipient.from_str(key.strip())
    except (pyrage.RecipientError, pyrage.IdentityError):
        raise BackupError("The backup key is not an age key.") from None


def identity_of(key: str) -> Any:
    """Return what decrypts. Raises BackupError if the key is not a private one."""
    lines = [line.strip() for line in key.splitlines() if line.strip().startswith(PRIVATE)]
    try:
        return pyrage.x25519.Identity.from_str(lines[0])
    except (IndexError, pyrage.IdentityError):
        raise BackupError(
            f"Restoring needs the private backup key, which begins with {PRIVATE}."
        ) from None


def write(path: Path, members: Iterable[Member], recipient: Any) -> int:
    """Write a file that is either whole or absent; return its size in bytes.

    Raises:
        BackupError: If the file exists.
        OSError: If it can't be written.
    """
    if path.exists():
        raise BackupError(f"{path} already exists. Choose another name.")
    partial = path.with_name(f".{path.name}.partial")
    with suppress(FileNotFoundError):
        partial.unlink()  # left by an attempt that was killed
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            pyrage.encrypt_io(_Pulled(_packed(members)), file, [recipient])
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        os.link(partial, path)  # unlike a rename, never overwrites
    except pyrage.EncryptError as error:  # what reading the members raised
        raise BackupError(f"The backup failed: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return size


def _packed(members: Iterable[Member]) -> Iterator[bytes]:
    compressor = zstd.ZstdCompressor()
    for name, content in members:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o600
        yield compressor.compress(info.tobuf())
        yield compressor.compress(content)
        yield compressor.compress(bytes(-len(content) % BLOCK))
    yield compressor.compress(bytes(2 * BLOCK))
    yield compressor.flush()


class _Pulled:
    """A readable file whose content is made as it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def read(path: Path, identity: Any) -> Iterator[Member]:
    """Yield the members of a file, in order.

    Raises:
        BackupError: If the file is cut or changed, or encrypted for another key. What was yielded
            before is genuine, but nothing may be concluded before the last member.
    """
    try:
        with _decrypted(path, identity) as stream, zstd.ZstdFile(stream) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as tar:
                for info in tar:
                    content = tar.extractfile(info)
                    if content is None or info.size > MEMBER_LIMIT:
                        raise BackupError(f"{path} is not a backup of Modelkeep.")
                    yield info.name, content.read()
            while plain.read(65536):
                pass
    except (tarfile.TarError, zstd.ZstdError, EOFError):
        raise BackupError(f"{path} is damaged or incomplete.") from None


@contextmanager
def _decrypted(path: Path, identity: Any) -> Iterator[IO[bytes]]:
    """Decrypt in a thread, as the library pushes what we pull."""
    reading, writing = os.pipe()
    failures: list[Exception] = []

    def decrypt() -> None:
        try:
            with open(writing, "wb") as target, path.open("rb") as source:
                pyrage.decrypt_io(source, target, [identity])
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=decrypt, name="backup")
    thread.start()
    try:
        with open(reading, "rb") as stream:
            yield stream
    except (tarfile.TarError, zstd.ZstdError, EOFError):
        thread.join()
        if not failures:
            raise
    thread.join()
    if failures:
        raise _told(path, failures[0]) from None


def _told(path: Path, error: Exception) -> BackupError:
    if isinstance(error, pyrage.DecryptError) and "No matching keys" in str(error):
        return BackupError(f"{path} is encrypted for another backup key.")
    if isinstance(error, OSError) and error.errno:
        return BackupError(f"{path} cannot be read: {error.strerror}.")
    return BackupError(f"{path} is damaged or incomplete.")
