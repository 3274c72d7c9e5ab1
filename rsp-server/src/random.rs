//! Random numbers of the operating system.

use crate::error::Error;

/// `N` random bytes. Errors: [`Error::Random`].
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

/// A new key. Errors: [`Error::Random`].
pub(crate) fn secret_key(curve: teuicc_rsp::crypto::Curve) -> Result<teuicc_rsp::crypto::SecretKey, Error> {
    let mut failure = None;
    let key = teuicc_rsp::crypto::SecretKey::generate(curve, &mut |bytes| {
        if let Err(error) = getrandom::fill(bytes) {
            bytes.fill(0);
            failure = Some(error);
        }
    });
    match failure {
        Some(error) => Err(Error::Random(error)),
        None => key.map_err(|error| Error::making("a key", error)),
    }
}

/// `count` random decimal digits. Errors: [`Error::Random`].
pub(crate) fn digits(count: usize) -> Result<String, Error> {
    let mut digits = String::with_capacity(count);
    while digits.len() < count {
        let [byte] = bytes::<1>()?;
        // 250 is the largest multiple of 10 in a byte: beyond it the digits would not be equally likely.
        if byte < 250 {
            digits.push(char::from(b'0' + byte % 10));
        }
    }
    Ok(digits)
}
