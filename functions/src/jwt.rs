//! What JWTs are signed and verified with: ring, as TLS is, and only the two algorithms that there are keys for.
//!
//! The providers that come with `jsonwebtoken` carry all twelve of its algorithms, RSA's among them: 144 kB of a zip (measured).
//! That of `RustCrypto` panics where an Ed25519 key is too short.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, UnparsedPublicKey, VerificationAlgorithm,
};
use sha2::{Digest as _, Sha256};

/// The octets of a point of P-256, not compressed (SEC 1, section 2.3.3).
const P256_POINT_OCTETS: usize = 65;
/// The octets of a public key of Ed25519 (RFC 8032, section 5.1.5).
const ED25519_OCTETS: usize = 32;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    key_utils: KeyUtils {
        ed_pub_components_from_private_key: ed25519_public,
        compute_digest: |octets, hash| digest(octets, &hash),
        ..KeyUtils::new_unimplemented()
    },
};

/// Has `jsonwebtoken` sign and verify by this. Whoever signs or verifies says so first; once is enough.
pub fn install() {
    // It is installed already.
    let _ = PROVIDER.install_default();
}

enum Signing {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    check_family(algorithm, key.family())?;
    Ok(Box::new(if algorithm == Algorithm::ES256 {
        let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(scheme, key.as_bytes(), &SystemRandom::new());
        Signing::Es256(pair.map_err(|_| ErrorKind::InvalidEcdsaKey)?)
    } else {
        Signing::EdDsa(ed25519(key.as_bytes())?)
    }))
}

impl Signer<Vec<u8>> for Signing {
    fn try_sign(&self, message: &[u8]) -> core::result::Result<Vec<u8>, signature::Error> {
        let signature = match self {
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map_err(|_| signature::Error::new())?,
            Self::EdDsa(pair) => pair.sign(message),
        };
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Signing {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::ES256,
            Self::EdDsa(_) => Algorithm::EdDSA,
        }
    }
}

/// Whether `key` is one of `algorithm`.
pub(crate) fn fits(algorithm: Algorithm, key: &DecodingKey) -> bool {
    verifier(algorithm, key).is_ok()
}

struct Verifying {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    check_family(algorithm, key.family())?;
    let octets = key.try_get_as_bytes()?;
    let (scheme, length, unusable): (&'static dyn VerificationAlgorithm, _, _) =
        if algorithm == Algorithm::ES256 {
            let unusable = ErrorKind::InvalidEcdsaKey;
            (&ECDSA_P256_SHA256_FIXED, P256_POINT_OCTETS, unusable)
        } else {
            (&ED25519, ED25519_OCTETS, ErrorKind::InvalidEddsaKey)
        };
    if octets.len() != length {
        return Err(unusable.into());
    }
    Ok(Box::new(Verifying {
        algorithm,
        key: UnparsedPublicKey::new(scheme, octets.to_vec()),
    }))
}

impl Verifier<Vec<u8>> for Verifying {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> core::result::Result<(), signature::Error> {
        let verified = self.key.verify(message, signature);
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Verifying {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Refuses every algorithm but our two, and keys of another.
fn check_family(algorithm: Algorithm, key: AlgorithmFamily) -> Result<()> {
    match (algorithm, key) {
        (Algorithm::ES256, AlgorithmFamily::Ec) | (Algorithm::EdDSA, AlgorithmFamily::Ed) => Ok(()),
        (Algorithm::ES256 | Algorithm::EdDSA, _) => Err(ErrorKind::InvalidKeyFormat.into()),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn ed25519(pkcs8: &[u8]) -> Result<Ed25519KeyPair> {
    // OpenSSL writes the private half alone.
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8);
    pair.map_err(|_| ErrorKind::InvalidEddsaKey.into())
}

fn ed25519_public(pkcs8: &[u8], curve: &EllipticCurve) -> Result<Vec<u8>> {
    if *curve != EllipticCurve::Ed25519 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(ed25519(pkcs8)?.public_key().as_ref().to_vec())
}

fn digest(octets: &[u8], hash: &ThumbprintHash) -> Result<Vec<u8>> {
    if !matches!(hash, ThumbprintHash::SHA256) {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Sha256::digest(octets).to_vec())
}
