"""Public API of tenants.crypto: sealing, opening, rotation and verification."""

from tenants.crypto.data_keys import complete_data_keys, writes_data_keys
from tenants.crypto.envelope import RSA_BITS
from tenants.crypto.key_pairs import (
    CredentialUnreadable,
    KeysNotReady,
    current_digest_key,
    make_key_pair,
    master_key_problems,
)
from tenants.crypto.rotation import (
    Progress,
    RotationReport,
    begin_rotation,
    continue_rotation,
    progress,
    retire_master_keys,
    rotate,
)
from tenants.crypto.seal import IdSeal, Seal
from tenants.crypto.sealed_columns import register_sealed, sealed_columns
from tenants.crypto.sealing import (
    Secret,
    forget,
    mask,
    open_sealed,
    origin_of,
    seal,
)
from tenants.crypto.verification import VerifyReport, verify

__all__ = [
    "RSA_BITS",
    "CredentialUnreadable",
    "IdSeal",
    "KeysNotReady",
    "Progress",
    "RotationReport",
    "Seal",
    "Secret",
    "VerifyReport",
    "begin_rotation",
    "complete_data_keys",
    "continue_rotation",
    "current_digest_key",
    "forget",
    "make_key_pair",
    "mask",
    "master_key_problems",
    "open_sealed",
    "origin_of",
    "progress",
    "register_sealed",
    "retire_master_keys",
    "rotate",
    "seal",
    "sealed_columns",
    "verify",
    "writes_data_keys",
]
