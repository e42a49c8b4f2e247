"""Tenants' keys: the only door to sealing, opening, rotation and verification for every other
module.
"""

from tenants.crypto.envelope import RSA_BITS
from tenants.crypto.key_pairs import (
    CredentialUnreadable,
    KeysNotReady,
    make_key_pair,
    master_key_problems,
    prepare_key_pair,
)
from tenants.crypto.rotation import (
    Progress,
    RotationReport,
    VerifyReport,
    begin_rotation,
    continue_rotation,
    progress,
    register_sealed,
    retire_master_keys,
    rotate,
    sealed_columns,
    verify,
)
from tenants.crypto.sealing import (
    Secret,
    forget,
    mask,
    open_sealed,
    origin_of,
    seal,
)

__all__ = [
    "RSA_BITS",
    "CredentialUnreadable",
    "KeysNotReady",
    "Progress",
    "RotationReport",
    "Secret",
    "VerifyReport",
    "begin_rotation",
    "continue_rotation",
    "forget",
    "make_key_pair",
    "mask",
    "master_key_problems",
    "open_sealed",
    "origin_of",
    "prepare_key_pair",
    "progress",
    "register_sealed",
    "retire_master_keys",
    "rotate",
    "seal",
    "sealed_columns",
    "verify",
]
