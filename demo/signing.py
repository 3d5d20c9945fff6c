"""The key pair that signs the demonstration's digests, as CloudTrail's own would; anybody may know it, for it guards nothing.

Facts: AWS CloudTrail User Guide, "CloudTrail digest file structure"; CloudTrail API Reference, "ListPublicKeys".
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_EXPONENT = 65537
_P = (
    "ffdd03d376e83292b53d29120c814116a646f8feda53ff168edbee28d5804af32855144ba8c19a6c9c78b6f23f40778781a2"
    "0120b1715246e5e0f12a51040edbb9d9bd34cfc6088a929319b9d654167064bfa41292cba775c971efa5a76fe305ffd20e2f"
    "bf04ca4ad9dde5ec15d6a6ad9630a5483b8ab72c329accbc8c40dc7d"
)
_Q = (
    "dd29883f0bf16b47084c287ab31c8c33bde62ee873993c734c4a94a7df9a2ae1b5040d87c99d308711c6a0736291146d7ecf"
    "ce19162c14d0ad20cfb7fe48628d47af4b2d670959bacd5ae90e798aad120d26440c88e2ecaf59df8e3573d634c768adcd90"
    "abdb015615ad677ddab1fe272aae33944ac4753aa5cbabd28f7f70f9"
)


def _private_key() -> rsa.RSAPrivateKey:
    p, q = int(_P, 16), int(_Q, 16)
    d = rsa.rsa_recover_private_exponent(_EXPONENT, p, q)
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    return rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    ).private_key()


_KEY = _private_key()
PUBLIC_KEY = _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
FINGERPRINT = hashlib.md5(PUBLIC_KEY, usedforsecurity=False).hexdigest()


def sign(text: str) -> str:
    """The signature of a text, hex: the same every time."""
    return _KEY.sign(text.encode(), padding.PKCS1v15(), SHA256()).hex()
